//! Lanes between shards, and the way back.

use corewire::shard::{Mesh, ShardId};

#[test]
fn a_lane_is_drained_only_as_far_as_the_way_back_has_room() {
    let [mut a, mut b] = <[_; 2]>::try_from(Mesh::<u32>::new(2, 4)).expect("two shards were asked for");
    let mut refused = 0;
    // `b` refuses everything, and `a` does not look at what comes back.
    for n in 0..12 {
        if a.send(ShardId(1), n).is_err() {
            refused += 1;
        }
        a.publish(|_| {});
        let mut got = Vec::new();
        b.drain(16, |from, item| got.push((from, item)));
        for (from, item) in got {
            b.send_back(from, item).expect("there is room for what was drained");
        }
        b.publish(|_| {});
    }
    assert_eq!(refused, 4, "4 fit the lane, 4 the way back, the rest is refused at once");
    let mut back = Vec::new();
    a.drain_back(|_, item| back.push(item));
    assert_eq!(back, [0, 1, 2, 3], "in order, none lost");
    let mut rest = Vec::new();
    b.drain(16, |_, item| rest.push(item));
    assert_eq!(rest, [4, 5, 6, 7]);
}

#[test]
fn only_a_sleeper_is_rung_and_only_once() {
    let [mut a, b] = <[_; 2]>::try_from(Mesh::<u32>::new(2, 4)).expect("two shards were asked for");
    let mut rung = Vec::new();
    a.send(ShardId(1), 1).expect("the lane is empty");
    a.publish(|shard| rung.push(shard));
    assert!(rung.is_empty(), "it is awake");
    b.arm();
    for n in 2..4 {
        a.send(ShardId(1), n).expect("the lane has room");
        a.publish(|shard| rung.push(shard));
    }
    assert_eq!(rung, [ShardId(1)]);
}

#[test]
fn a_shard_that_has_stopped_gives_the_message_back() {
    let [mut a, b] = <[_; 2]>::try_from(Mesh::<u32>::new(2, 4)).expect("two shards were asked for");
    drop(b);
    assert_eq!(a.send(ShardId(1), 7).expect_err("nobody is there").into_inner(), 7);
}
