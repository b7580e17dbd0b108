//! Jobs of actors, on one shard.

use super::{Book, world_after, world_with};
use corewire::actor::{Priority, Restart, WorkError, WorkRefused};
use corewire::prelude::*;

/// Hands over what it was made to, and notes what comes of it.
struct Boss {
    book: Book,
    begin: fn(&mut Boss, &mut Context<Boss>),
}

impl Actor for Boss {
    fn started(&mut self, cx: &mut Context<Self>) {
        (self.begin)(self, cx);
    }
}

impl Boss {
    fn done(&mut self, result: Result<u64, WorkError>, _: &mut Context<Self>) {
        self.book.note(format!("{result:?}"));
    }
}

/// What a boss that begins with `begin` notes within 100 ms, where the pool is so; and the world.
fn noted(
    pool_threads: u32,
    pool_slots: u32,
    begin: fn(&mut Boss, &mut Context<Boss>),
) -> (Vec<String>, corewire::sim::World) {
    let book = Book::default();
    let theirs = book.clone();
    let change = move |config: &mut Config| {
        (config.pool_threads, config.pool_slots) = (pool_threads, pool_slots);
    };
    let mut world = world_with(change, move |cx| {
        cx.spawn(Boss { book: theirs, begin }).expect("there is a slot");
    });
    world.run_for(60_000);
    (book.take(), world)
}

#[test]
fn what_a_job_gives_comes_back_as_a_message() {
    let (noted, mut world) = noted(1, 10, |_, cx| {
        let word = String::from("fortytwo");
        cx.work(move || word.len() as u64).then(Boss::done).expect("there is room");
        cx.work(|| 7_u64)
            .then(|boss: &mut Boss, seven, _| boss.book.note(format!("{seven:?} too")))
            .expect("there is room");
    });
    assert_eq!(noted, ["Ok(8)", "Ok(7) too"]);
    let stats = world.stats();
    assert_eq!((stats.jobs, stats.jobs_refused, stats.asks), (2, 0, 0));
    world.shut_down();
}

#[test]
fn a_job_that_panics_is_a_result_and_costs_nobody_anything() {
    let (noted, mut world) = noted(1, 10, |_, cx| {
        cx.work(|| -> u64 { panic!("on purpose") }).then(Boss::done).expect("there is room");
        cx.work(|| 1_u64).then(Boss::done).expect("there is room");
    });
    assert_eq!(noted, ["Err(Panicked(\"on purpose\"))", "Ok(1)"]);
    assert_eq!((world.stats().jobs_panicked, world.stats().panics), (1, 0));
    world.shut_down();
}

#[test]
fn a_job_that_is_taken_back_is_not_done_or_at_least_not_heard_of() {
    let (noted, mut world) = noted(1, 10, |_, cx| {
        let first = cx.work(|| 1_u64).then(Boss::done).expect("there is room");
        let second = cx.work(|| -> u64 { panic!("nobody does it") }).then(Boss::done).expect("there is room");
        assert!(cx.cancel_work(second), "it has not begun");
        assert!(!cx.cancel_work(second), "it is not there any more");
        let told = move |boss: &mut Boss, third, cx: &mut Context<Boss>| {
            assert!(!cx.cancel_work(first), "it has been heard of");
            boss.done(third, cx);
        };
        cx.work(|| 3_u64).then(told).expect("there is room");
    });
    assert_eq!(noted, ["Ok(1)", "Ok(3)"]);
    let stats = world.stats();
    assert_eq!((stats.jobs, stats.jobs_panicked, stats.answers_late), (3, 0, 0));
    world.shut_down();
}

#[test]
fn one_job_too_many_comes_back() {
    let (noted, mut world) = noted(1, 2, |boss, cx| {
        for n in 0..4_u64 {
            match cx.work(move || n).then(Boss::done) {
                Ok(_) => {}
                Err(WorkRefused::Full(job)) => boss.book.note(format!("no room for {}", job())),
                Err(WorkRefused::Ending(_)) => unreachable!("the server goes on"),
            }
        }
    });
    assert_eq!(noted, ["no room for 2", "no room for 3", "Ok(0)", "Ok(1)"]);
    assert_eq!((world.stats().jobs, world.stats().jobs_refused), (2, 2));
    world.shut_down();
}

#[test]
fn results_have_room_kept_for_them_and_one_more_job_comes_back() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_with(
        |config| config.asks_max = 1,
        move |cx| {
            let begin = |boss: &mut Boss, cx: &mut Context<Boss>| {
                cx.work(|| 1_u64).then(Boss::done).expect("there is room");
                let refused = cx.work(|| 2_u64).then(Boss::done).expect_err("no room is left");
                boss.book.note(format!("{refused:?}"));
            };
            cx.spawn(Boss { book: theirs, begin }).expect("there is a slot");
        },
    );
    world.run_for(60_000);
    assert_eq!(book.take(), ["Full(..)", "Ok(1)"]);
    world.shut_down();
}

#[test]
fn jobs_begin_by_priority_and_low_ones_are_not_starved() {
    let (noted, world) = noted(1, 100, |_, cx| {
        for (priority, jobs) in
            [(Priority::Low, 2), (Priority::Normal, 20), (Priority::High, 2), (Priority::Critical, 1)]
        {
            for _ in 0..jobs {
                cx.work(move || priority)
                    .at(priority)
                    .then(|boss: &mut Boss, priority: Result<Priority, WorkError>, _| {
                        boss.book
                            .note(format!("{:.1}", format!("{:?}", priority.expect("it does not panic"))));
                    })
                    .expect("there is room");
            }
        }
    });
    // Sixteen others pass the first low one, and then there are too few to pass the second.
    assert_eq!(noted.concat(), "CHHNNNNNNNNNNNNNLNNNNNNNL");
    world.shut_down();
}

#[test]
fn who_stops_is_not_called_any_more_and_the_result_is_counted() {
    let (noted, mut world) = noted(1, 10, |_, cx| {
        cx.work(|| 1_u64).then(Boss::done).expect("there is room");
        cx.stop();
    });
    assert!(noted.is_empty());
    assert_eq!((world.stats().jobs, world.stats().answers_late), (1, 1));
    world.shut_down();
}

#[test]
fn what_a_job_keeps_may_panic_when_it_is_dropped() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let begin = |_: &mut Boss, cx: &mut Context<Boss>| {
            let grenade = Grenade;
            let job = move || {
                let _held = &grenade;
                size_of_val(&grenade) as u64
            };
            cx.work(job).then(Boss::done).expect("there is room");
        };
        cx.spawn(Boss { book: theirs, begin }).expect("there is a slot");
    });
    world.run_for(60_000);
    assert_eq!(book.take(), ["Err(Panicked(\"on purpose\"))"]);
    world.shut_down();
}

#[test]
fn who_is_made_anew_does_not_hear_of_jobs_from_before() {
    /// Hands a job over, and crashes in its first life.
    struct Child(Book);
    struct Crash;
    impl Actor for Child {
        fn started(&mut self, cx: &mut Context<Self>) {
            self.0.note("started");
            let book = self.0.clone();
            let job = move || book.note("ran");
            cx.work(job).then(|child: &mut Self, _, _| child.0.note("told")).expect("there is room");
        }
    }
    impl Handler<Crash> for Child {
        type Reply = ();
        fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
            panic!("on purpose");
        }
    }
    /// Has a child.
    struct Parent(Book);
    impl Actor for Parent {
        fn started(&mut self, cx: &mut Context<Self>) {
            let book = self.0.clone();
            let child =
                cx.spawn_child(Restart::Always, move || Child(book.clone())).expect("there is a slot");
            cx.send(child, Crash).expect("there is room");
        }
    }
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        cx.spawn(Parent(theirs)).expect("there is a slot");
    });
    world.run_for(60_000);
    let mut noted = book.take();
    noted.sort();
    assert_eq!(noted, ["ran", "ran", "started", "started", "told"]);
    assert_eq!((world.stats().jobs, world.stats().answers_late), (2, 1));
    world.shut_down_after_panics(1);
}
