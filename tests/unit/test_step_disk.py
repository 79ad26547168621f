"""What a step has written, as far as files of the kernel and a directory tell."""

from __future__ import annotations

from pathlib import Path

from binder_build.images.step_disk import upper_of, written

ROOT = (
    "1270 1080 0:120 / / rw,relatime - overlay overlay"
    " rw,lowerdir=/l/A:/l/B,upperdir=/var/lib/docker/overlay2/abc/diff,workdir=/var/lib/docker/overlay2/abc/work"
)
OTHERS = "1271 1270 0:122 / /proc rw - proc proc rw\n1272 1270 0:130 / /mnt rw - overlay overlay rw,upperdir=/other\n"


def test_the_upper_directory_is_that_of_the_root() -> None:
    assert upper_of(OTHERS + ROOT) == "/var/lib/docker/overlay2/abc/diff"
    assert upper_of(OTHERS) is None
    assert upper_of("") is None
    assert upper_of("1 0 8:1 / / rw - ext4 /dev/vda rw\n") is None


def test_what_is_written_is_counted_once_and_links_are_not_followed(tmp_path: Path) -> None:
    below = tmp_path / "root" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "outside").write_bytes(bytes(4_000_000))
    (below / "file").write_bytes(bytes(1_000_000))
    (below / "again").hardlink_to(below / "file")
    (below / "link").symlink_to(tmp_path / "outside")
    (below / "directory").symlink_to(tmp_path)
    assert 1_000_000 <= written(tmp_path / "root", 10**9) < 1_500_000
    assert written(tmp_path / "nowhere", 10) == 0


def test_it_isnt_counted_further_than_it_matters(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "file").write_bytes(bytes(100_000))
    assert 100_000 < written(tmp_path, 100_000) < 1_000_000
