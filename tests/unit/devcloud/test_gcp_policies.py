"""Who may do what, as policies are inherited along a resource's name."""

from __future__ import annotations

import pytest

from devcloud.gcp.cloud import Cloud
from devcloud.gcp.model import VersionState
from devcloud.gcp.names import is_key, key_of, lineage, split_version
from devcloud.gcp.seed import sow
from devcloud.snapshots import InMemory
from devcloud.stored_cloud import UnknownThingError

RING = "projects/p/locations/l/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"
WHO = "a@p.iam.gserviceaccount.com"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(InMemory())


@pytest.mark.parametrize("resource", ["projects/p", RING, KEY])
def test_a_grant_holds_for_all_that_lies_below(cloud: Cloud, resource: str) -> None:
    cloud.set_policy(resource, WHO, allowed=("use",))
    assert cloud.permits(WHO, "use", KEY)
    assert not cloud.permits(WHO, "other", KEY)
    assert not cloud.permits("b@p", "use", KEY)
    assert not cloud.permits(WHO, "use", KEY.replace("projects/p/", "projects/q/"))


def test_a_grant_on_a_key_says_nothing_of_its_neighbour(cloud: Cloud) -> None:
    cloud.set_policy(KEY, WHO, allowed=("use",))
    assert not cloud.permits(WHO, "use", f"{KEY}2")
    assert not cloud.permits(WHO, "use", RING)


def test_a_denial_anywhere_beats_every_grant(cloud: Cloud) -> None:
    cloud.set_policy(KEY, WHO, allowed=("use",))
    cloud.set_policy("projects/p", WHO, denied=("use",))
    assert not cloud.permits(WHO, "use", KEY)
    cloud.set_policy("projects/p", WHO, denied=())
    assert cloud.permits(WHO, "use", KEY)


def test_a_service_account_is_no_project(cloud: Cloud) -> None:
    cloud.set_policy("projects/-", WHO, allowed=("use",))
    assert not cloud.permits(WHO, "use", f"projects/-/serviceAccounts/{WHO}")


@pytest.mark.parametrize(
    "name", ["", KEY + "/", KEY + "/cryptoKeyVersions/1", RING, "x" + KEY, KEY + "\n"]
)
def test_what_is_no_key_is_not_taken_for_one(name: str) -> None:
    assert not is_key(name)


def test_a_version_is_split_into_key_and_number() -> None:
    assert split_version(f"{KEY}/cryptoKeyVersions/12") == (KEY, 12)
    for wrong in (KEY, f"{KEY}/cryptoKeyVersions/0", f"{KEY}/cryptoKeyVersions/x"):
        assert split_version(wrong) is None
        assert key_of(wrong) == wrong
    assert lineage(KEY) == (KEY, RING, "projects/p")


def test_destroying_wipes_the_material_for_ever(cloud: Cloud) -> None:
    cloud.create_key(KEY)
    destroyed = cloud.set_version_state(KEY, 1, VersionState.DESTROYED).versions[0]
    assert destroyed.secret == b""
    with pytest.raises(ValueError, match="stays destroyed"):
        cloud.set_version_state(KEY, 1, VersionState.ENABLED)


def test_a_taken_name_is_not_given_again(cloud: Cloud) -> None:
    cloud.create_key(KEY)
    with pytest.raises(ValueError, match="not a name"):
        cloud.create_key(KEY)


def test_what_is_not_there_is_not_changed(cloud: Cloud) -> None:
    for change in (
        lambda: cloud.rotate(KEY),
        lambda: cloud.set_version_state(KEY, 1, VersionState.DISABLED),
        lambda: cloud.set_primary(KEY, 1),
        lambda: cloud.delete_account(WHO),
        lambda: cloud.expire_tokens(WHO),
    ):
        with pytest.raises(UnknownThingError):
            change()


def test_a_first_start_that_was_cut_short_is_finished_by_the_next(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def killed(_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(cloud, "remember_seed", killed)
        with pytest.raises(KeyboardInterrupt):
            sow(cloud)
    before = {key.name for key in cloud.all_keys()}
    sow(cloud)
    assert {key.name for key in cloud.all_keys()} == before
    assert cloud.seed["key"] in before
