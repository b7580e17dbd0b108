//! The timer wheel against a sorted list.

use corewire::shard::{Time, Wheel};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

fn ms(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

#[derive(Debug, Clone)]
enum Act {
    Set { number: u32, delay_ms: u64 },
    Clear { number: u32 },
    Advance { by_ms: u64 },
    Pop,
}

fn any_act() -> impl Strategy<Value = Act> {
    // Around one round of the wheel (4,096 ms), within it, and many rounds away.
    let delay = prop_oneof![0..50u64, 4000..4200u64, 0..100_000u64];
    let by = prop_oneof![0..5u64, 0..300u64, 4000..20_000u64];
    prop_oneof![
        6 => (0..40u32, delay).prop_map(|(number, delay_ms)| Act::Set { number, delay_ms }),
        2 => (0..40u32).prop_map(|number| Act::Clear { number }),
        4 => by.prop_map(|by_ms| Act::Advance { by_ms }),
        3 => Just(Act::Pop),
    ]
}

/// Numbers and when they are due, in milliseconds.
type Oracle = BTreeMap<u32, u64>;

/// Numbers that come out next may be any of those that are due first.
fn check_pop(
    wheel: &mut Wheel,
    oracle: &mut Oracle,
    now_ms: u64,
    in_order: bool,
) -> Result<bool, TestCaseError> {
    let first_ms = oracle.values().copied().filter(|due_ms| *due_ms <= now_ms).min();
    let Some(number) = wheel.pop() else {
        prop_assert_eq!(first_ms, None);
        return Ok(false);
    };
    let due_ms = oracle.remove(&number);
    prop_assert!(due_ms.is_some_and(|due_ms| due_ms <= now_ms), "{} is due at {:?}", number, due_ms);
    if in_order {
        prop_assert_eq!(due_ms, first_ms);
    }
    Ok(true)
}

proptest! {
    /// An alarm comes out after the first expiry at or after its time and not before, whatever is moved, taken back
    /// or left lying meanwhile.
    #[test]
    fn what_is_due_comes_out_and_nothing_else(acts in proptest::collection::vec(any_act(), 1..200)) {
        let (mut wheel, mut oracle) = (Wheel::new(), Oracle::new());
        let (mut now_ms, mut taken_back, mut in_order) = (0u64, false, true);
        for act in acts {
            match act {
                Act::Set { number, delay_ms } => {
                    wheel.set(number, ms(now_ms + delay_ms));
                    let due_ms = (now_ms + delay_ms).max(now_ms + 1); // what is due already comes a millisecond later
                    taken_back |= oracle.insert(number, due_ms).is_some();
                }
                Act::Clear { number } => {
                    let was_set = oracle.remove(&number).is_some();
                    prop_assert_eq!(wheel.clear(number), was_set);
                    taken_back |= was_set;
                }
                Act::Advance { by_ms } => {
                    now_ms += by_ms;
                    wheel.expire(ms(now_ms));
                    in_order &= by_ms < 4096;
                }
                Act::Pop => drop(check_pop(&mut wheel, &mut oracle, now_ms, in_order)?),
            }
            prop_assert_eq!(wheel.len(), oracle.len());
            for number in 0..40 {
                prop_assert_eq!(wheel.due(number), oracle.get(&number).copied().map(ms));
            }
            let first_ms = oracle.values().copied().min().map(|due_ms| due_ms.max(now_ms));
            let next = wheel.next();
            if !taken_back {
                prop_assert_eq!(next.map(|next| next.max(ms(now_ms))), first_ms.map(ms));
            }
            prop_assert!(next.is_some() == first_ms.is_some() && next <= first_ms.map(ms), "{:?}, {:?}", next, first_ms);
        }
        while check_pop(&mut wheel, &mut oracle, now_ms, in_order)? {}
        // Who sleeps until `next` each time meets every alarm at its time, and wakes in vain once a slot at most.
        let mut wakes: HashMap<u64, u32> = HashMap::new();
        while let Some(next) = wheel.next() {
            prop_assert!(next > ms(now_ms), "it would not sleep");
            now_ms = next.as_millis();
            wheel.expire(next);
            let mut any = false;
            while check_pop(&mut wheel, &mut oracle, now_ms, false)? {
                any = true;
            }
            if !any {
                *wakes.entry(now_ms % 4096).or_default() += 1;
            }
        }
        prop_assert!(oracle.is_empty() && wakes.values().all(|wakes| *wakes == 1), "{:?}, {:?}", oracle, wakes);
    }
}

/// Two messages to be sent at the same time are sent in the order in which they were to be.
#[test]
fn alarms_of_one_millisecond_ring_in_the_order_in_which_they_were_set() {
    let mut wheel = Wheel::new();
    for number in [5, 3, 9, 1] {
        wheel.set(number, ms(10_000));
    }
    wheel.set(3, ms(10_000)); // again: now it is the last
    wheel.expire(ms(10_000));
    let rung: Vec<u32> = std::iter::from_fn(|| wheel.pop()).collect();
    assert_eq!(rung, [5, 9, 1, 3]);
}

/// What rang together can still be taken back: the first to be told may end the second.
#[test]
fn an_alarm_that_has_rung_can_be_cleared_or_set_again() {
    let mut wheel = Wheel::new();
    (0..3).for_each(|number| wheel.set(number, ms(5)));
    wheel.expire(ms(7));
    assert_eq!(wheel.pop(), Some(0));
    assert!(wheel.clear(1));
    wheel.set(2, ms(5)); // which is over, so it comes a millisecond later
    assert_eq!((wheel.pop(), wheel.len()), (None, 1));
    assert_eq!(wheel.next(), Some(ms(8)));
}
