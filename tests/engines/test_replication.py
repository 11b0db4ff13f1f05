"""What every engine promises of servers that follow one another, asked of real ones."""

from dataclasses import replace

import pytest

from openrds.engines.protocol import EngineError

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.every_engine]


def changed(trial, server, **changes):
    """The same server under other settings."""
    return trial.engine.server(replace(server.node, **changes))


@pytest.fixture
def pair(trial):
    primary = trial.started()
    trial.query(primary, "CREATE TABLE kept AS SELECT 1 AS x")
    return primary, trial.standby_of(primary)


def count(trial, server):
    return trial.query(server, "SELECT count(*) FROM kept")


def test_a_standby_has_what_its_upstream_has_and_refuses_writes(trial, pair, eventually):
    primary, standby = pair

    trial.query(primary, "INSERT INTO kept VALUES (2)")

    eventually(lambda: count(trial, standby) == 2)
    with trial.refused_writing():
        trial.query(standby, "INSERT INTO kept VALUES (3)")
    assert standby.answers()


def test_both_say_how_replication_stands(trial, pair, eventually):
    primary, standby = pair

    assert not primary.replication.state().is_standby
    state = standby.replication.state()
    assert (state.is_standby, state.streaming) == (True, True)
    eventually(lambda: standby.replication.state().lag_bytes == 0)
    eventually(lambda: [one.lag_bytes for one in primary.replication.followers()] == [0])
    (follower,) = primary.replication.followers()
    assert (follower.node_id, follower.streaming, follower.confirms) == (standby.node.node_id, True, False)
    standby.stop()
    eventually(lambda: primary.replication.followers() == ())


def test_each_may_be_asked_twice(trial, pair):
    _, standby = pair

    standby.replication.copy_upstream()
    standby.replication.follow()

    assert standby.replication.rejoin() == "attached"
    assert count(trial, standby) == 1
    standby.replication.promote()
    standby.replication.promote()
    assert not standby.replication.state().is_standby


def test_a_server_that_has_never_run_is_copied_too(trial):
    primary = trial.initialised()
    standby = trial.beside(primary)

    standby.replication.copy_upstream()
    primary.start()
    standby.replication.follow()

    assert standby.replication.state().streaming


def test_an_interrupted_copy_is_made_anew(trial):
    primary = trial.started()
    standby = trial.beside(primary)
    (standby.node.folder / ".data.copying-x").mkdir()

    standby.replication.copy_upstream()
    standby.replication.follow()

    assert not list(standby.node.folder.glob(".*"))


def test_roles_change_without_loss_and_back(trial, pair, eventually):
    one, two = pair
    for upstream, standby in ((one, two), (two, one)):
        trial.query(upstream, "INSERT INTO kept VALUES (2)")
        position = upstream.replication.demote()
        standby.replication.await_position(position, 10)
        standby.replication.promote()
        follower = changed(trial, upstream, upstream=standby.node.as_upstream(is_equal=True))
        assert follower.replication.rejoin() == "attached"
        trial.query(standby, "INSERT INTO kept VALUES (3)")
    eventually(lambda: count(trial, two) == 5)


def test_who_was_demoted_serves_again_when_it_resumes(trial, pair, eventually):
    primary, standby = pair
    primary.replication.demote()
    primary.replication.demote()
    with pytest.raises(trial.dialect.Error):
        trial.query(primary, "INSERT INTO kept VALUES (2)")

    primary.replication.resume()
    primary.replication.resume()

    trial.query(primary, "INSERT INTO kept VALUES (3)")
    eventually(lambda: count(trial, standby) == 2)
    assert primary.replication.is_primary()


def test_a_standby_takes_over_with_room_for_less_and_the_others_follow_it(trial):
    """It is told to while it still follows, when it may not have less room; so it lets nobody in until then."""
    large, small = {"memory_mb": 4096, "vcpus": 16}, {"memory_mb": 2048, "vcpus": 1}
    one = trial.started(**large)
    trial.query(one, "CREATE TABLE kept AS SELECT 1 AS x")
    two = trial.standby_of(one)
    two.stop()
    heir = changed(trial, two, **small, takes_over=True)
    heir.replication.follow()
    changed(trial, one, confirmed_by=(two.node.node_id,)).replication.await_confirmation(10)
    trial.query(one, "INSERT INTO kept VALUES (2)")
    state = heir.replication.state()
    assert (state.is_standby, state.streaming, heir.replication.is_primary()) == (True, True, False)

    for server in (heir, two):  # whoever asks, with whatever settings
        server.replication.await_position(one.replication.demote(), 10)
    heir.replication.promote()
    heir.replication.promote()

    assert heir.replication.is_primary()
    assert trial.query(heir, trial.dialect.connections) == trial.dialect.connections_of(2048)
    follower = changed(trial, one, upstream=heir.node.as_upstream(is_equal=True))
    assert follower.replication.rejoin() == "attached"
    trial.query(heir, "INSERT INTO kept VALUES (3)")
    follower.replication.catch_up(10)
    assert count(trial, follower) == 3
    follower.stop()
    follower = changed(trial, follower, **small)
    follower.replication.follow()
    assert trial.query(follower, trial.dialect.connections) == trial.dialect.connections_of(2048)


def test_a_standby_that_lacks_something_is_noticed(trial, pair):
    primary, standby = pair
    standby.stop()
    trial.query(primary, "INSERT INTO kept VALUES (2)")
    position = primary.replication.demote()
    primary.stop()  # one that is alive would hand it over
    standby.start()

    with pytest.raises(EngineError, match="has not all"):
        standby.replication.await_position(position, 0.1)


def has_all(primary):
    (follower,) = primary.replication.followers()
    return follower.streaming and follower.lag_bytes == 0


@pytest.mark.of_engines("PostgreSQL")
def test_a_killed_primary_comes_back_as_standby_of_its_successor(trial, pair, eventually):
    """And brings the log that it had not archived, so far as its successor goes on from it."""
    primary, standby = pair
    archive, backups = primary.node.archive, trial.engine.backups
    first = trial.dialect.close_log(primary.node)
    eventually((archive / first).exists)
    trial.dialect.hold_archiver(trial.pid(primary))
    second, third = (trial.dialect.close_log(primary.node) for _ in range(2))
    eventually(lambda: has_all(primary))
    standby.stop()
    trial.query(primary, "INSERT INTO kept VALUES (2)")  # which its successor has not
    trial.kill(primary)
    primary.stop()
    standby.start()
    standby.replication.promote()
    trial.query(standby, "CREATE TABLE after_all AS SELECT 1 AS x")

    follower = changed(trial, primary, upstream=standby.node.as_upstream(is_equal=True))
    assert not (archive / second).exists()
    assert follower.replication.rejoin() in ("rewound", "copied")

    assert (archive / third).exists() and backups.is_archived_since(archive, first)
    (archive / second).unlink()
    assert not backups.is_archived_since(archive, first)
    assert backups.is_archived_since(archive, third)
    assert count(trial, follower) == 1
    eventually(lambda: trial.query(follower, "SELECT count(*) FROM after_all") == 1)


def test_a_broken_data_directory_is_copied_anew(trial, pair):
    _, standby = pair
    standby.stop()
    trial.dialect.break_data(standby.node)

    assert standby.replication.rejoin() == "copied"

    standby.replication.catch_up(10)
    assert count(trial, standby) == 1


def test_an_old_primary_that_is_copied_anew_has_what_it_wrote(trial, pair):
    primary, standby = pair
    standby.replication.await_position(primary.replication.demote(), 10)
    standby.replication.promote()
    trial.query(standby, "INSERT INTO kept VALUES (2)")
    primary.stop()
    trial.dialect.break_data(primary.node)

    follower = changed(trial, primary, upstream=standby.node.as_upstream(is_equal=True))
    assert follower.replication.rejoin() == "copied"

    follower.replication.catch_up(10)
    assert count(trial, follower) == 2


def test_a_third_server_turns_to_the_new_primary(trial, pair, eventually):
    primary, standby = pair
    third = trial.standby_of(primary)
    position = primary.replication.demote()
    for server in (standby, third):
        server.replication.await_position(position, 10)
    standby.replication.promote()

    changed(trial, third, upstream=standby.node.as_upstream(is_equal=True)).replication.follow()
    trial.query(standby, "INSERT INTO kept VALUES (2)")

    eventually(lambda: count(trial, third) == 2)


def test_a_running_primary_does_not_follow(trial, pair):
    primary, standby = pair

    with pytest.raises(EngineError, match="runs as a primary"):
        changed(trial, primary, upstream=standby.node.as_upstream(is_equal=True)).replication.follow()

    assert trial.query(primary, "INSERT INTO kept VALUES (2)") is None
    primary.stop()
    primary.start()
    assert not primary.replication.state().is_standby


def test_commits_wait_for_who_confirms_them(trial, pair, eventually):
    primary, standby = pair
    waiting = changed(trial, primary, confirmed_by=(standby.node.node_id,))

    waiting.replication.await_confirmation(10)

    assert [one.confirms for one in primary.replication.followers()] == [True]
    trial.query(primary, "INSERT INTO kept VALUES (2)")
    standby.stop()
    with pytest.raises(EngineError, match="confirms"):
        waiting.replication.await_confirmation(0.1)
    primary.reload()
    trial.query(primary, "INSERT INTO kept VALUES (3)")


def test_what_is_kept_for_a_follower_is_let_go(trial, pair, eventually):
    primary, standby = pair
    standby.stop()
    eventually(lambda: primary.replication.followers() == ())

    primary.replication.forget(standby.node.node_id)
    primary.replication.forget(standby.node.node_id)

    assert trial.dialect.kept_for_followers(primary.node) in (0, None)
    standby.replication.rejoin()
    assert trial.dialect.kept_for_followers(primary.node) in (1, None)
