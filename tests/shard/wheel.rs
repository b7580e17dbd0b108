//! The timer wheel against a sorted list.

use corewire::shard::{Time, Wheel};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn ms(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

#[derive(Debug, Clone)]
enum Act {
    Schedule { delay_ms: u64 },
    Advance { by_ms: u64 },
}

fn any_act() -> impl Strategy<Value = Act> {
    // Around one round of the wheel (4,096 ms), within it, and many rounds away.
    let delay = prop_oneof![0..50u64, 4000..4200u64, 0..100_000u64];
    let by = prop_oneof![0..5u64, 0..300u64, 4000..20_000u64];
    prop_oneof![
        delay.prop_map(|delay_ms| Act::Schedule { delay_ms }),
        by.prop_map(|by_ms| Act::Advance { by_ms })
    ]
}

proptest! {
    /// Every key comes out in the first expiry at or after its time, and `next` names the first one's time exactly.
    #[test]
    fn what_is_due_comes_out_and_nothing_else(acts in proptest::collection::vec(any_act(), 1..200)) {
        let mut wheel = Wheel::new();
        let mut oracle: BTreeMap<(u64, usize), ()> = BTreeMap::new();
        let (mut now_ms, mut keys) = (0u64, 0usize);
        for act in acts {
            match act {
                Act::Schedule { delay_ms } => {
                    let due_ms = (now_ms + delay_ms).max(now_ms + 1); // what is due already comes a millisecond later
                    wheel.schedule(ms(now_ms + delay_ms), keys);
                    oracle.insert((due_ms, keys), ());
                    keys += 1;
                }
                Act::Advance { by_ms } => {
                    now_ms += by_ms;
                    let mut due = Vec::new();
                    wheel.expire(ms(now_ms), &mut due);
                    let later = oracle.split_off(&(now_ms + 1, 0));
                    let mut expected: Vec<usize> = oracle.keys().map(|(_, key)| *key).collect();
                    oracle = later;
                    due.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(due, expected);
                }
            }
            prop_assert_eq!(wheel.len(), oracle.len());
            prop_assert_eq!(wheel.next(), oracle.keys().next().map(|(due_ms, _)| ms(*due_ms)));
        }
    }
}
