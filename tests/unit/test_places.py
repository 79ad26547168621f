"""The directories of builds: the same one again for the same repository, and never two builds in one."""

from __future__ import annotations

from pathlib import Path

from binder_build.sources.places import Places


def test_a_repository_has_its_place_again(tmp_path: Path) -> None:
    places = Places(tmp_path)
    first = places.take("owner-repo", 1)
    (first / "source").mkdir(parents=True)
    places.clear(first)
    assert list(tmp_path.iterdir()) == []
    assert places.take("owner-repo", 2) == first


def test_two_builds_at_once_have_places_of_their_own(tmp_path: Path) -> None:
    places = Places(tmp_path)
    first, second = places.take("owner-repo", 1), places.take("owner-repo", 2)
    second.mkdir()
    places.clear(first)
    assert second.exists()
    assert len({first, second, places.take("other-repo", 1)}) == 3


def test_a_place_is_of_one_service_alone(tmp_path: Path) -> None:
    assert Places(tmp_path).take("owner-repo", 1) != Places(tmp_path).take("owner-repo", 1)
