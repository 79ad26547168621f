"""Files dated by their commit, whatever date that claims and whatever files it brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from binder_build.sources.dates import bounded, common_date, date_files


def test_everything_below_gets_the_date_and_nothing_beside_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    before = outside.stat().st_mtime
    root = tmp_path / "source"
    (root / "a" / "empty").mkdir(parents=True)
    (root / "a" / "file name\n").write_text("")
    (root / "link").symlink_to(outside)
    (root / "dangling").symlink_to("nowhere")
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    date_files(root, 1_700_000_000, {}, b"key")
    assert {each.lstat().st_mtime for each in [root, *root.glob("[!u]*"), root / "up", *root.glob("a/*")]} == {1.7e9}
    assert outside.stat().st_mtime == before


@pytest.mark.parametrize(("claimed", "taken"), [(-5, 0), (1_700_000_000, 1_700_000_000), (2**63, 4_102_444_800)])
def test_a_date_beyond_the_calendar_is_the_nearest_within(claimed: int, taken: int, tmp_path: Path) -> None:
    assert bounded(claimed) == taken
    date_files(tmp_path, bounded(claimed), {}, b"key")


def test_a_date_tells_contents_apart_and_stays_with_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")

    def dated(content: bytes) -> int:
        date_files(tmp_path, 1_700_000_000, {"a/one": content}, b"key")
        return (tmp_path / "a" / "one").stat().st_mtime_ns

    assert dated(b"first") == dated(b"first")
    assert dated(b"first") != dated(b"second")
    assert dated(b"first") // 1_000_000_000 == 1_700_000_000
    assert (tmp_path / "a").stat().st_mtime_ns == 1_700_000_000_000_000_000


def test_very_many_files_have_one_date_a_month() -> None:
    assert common_date(1_700_000_000, 999) == 1_700_000_000
    assert common_date(1_700_000_000, 1_000) == common_date(1_699_000_000, 1_000) == 1_698_796_800
    assert common_date(0, 1_000) == 0
