//! How families end, and what those hear of it who are linked to them.

use super::*;

#[test]
fn a_supervisor_that_stops_ends_its_children_before_the_last_first_each_after_its_mail() {
    let (noted, _, world) = noted::<ONE>(|book, cx| {
        let mut made = lives("a", book, nothing);
        let patient = move || Part { stopping: Stopping::AfterMail, ..made() };
        let a = cx.spawn_child(Restart::Always, patient).expect("there is a slot");
        let b = start("b", Restart::Always, book, cx);
        cx.send(b, Stop).expect("there is room"); // so it is out when its supervisor ends
        let me = cx.address();
        cx.send(me, Stop).expect("there is room");
        for _ in 0..40 {
            cx.send(a, Say("heard")).expect("there is room");
        }
    });
    let heard = noted.iter().filter(|line| *line == "a1: heard").count();
    let others: Vec<_> = noted.iter().filter(|line| *line != "a1: heard").collect();
    assert_eq!(heard, 40);
    assert_eq!(
        others,
        [
            "a1 at 0",
            "b1 at 0",
            "b1 stopped: Stopped",
            "a1 stopping",
            "a1 stopped: Supervisor",
            "boss stopped: Stopped"
        ]
    );
    world.shut_down();
}

#[test]
fn a_restart_is_no_end_to_who_watches_or_is_linked() {
    let (noted, _, world) = noted::<ONE>(|book, cx| {
        let part = start("a", Restart::Always, book, cx);
        cx.watch(part).expect("there is room");
        cx.link(part).expect("there is room");
        cx.send(part, Panic).expect("there is room");
    });
    assert_eq!(noted, ["a1 at 0", "a2 at 10"]);
    world.shut_down_after_panics(1);
}

#[test]
fn a_failure_reaches_who_is_linked_while_it_waits_to_be_made_anew() {
    let (noted, _, world) = noted::<ONE>(|book, cx| {
        let a = start("a", Restart::Always, book, cx);
        let b = start("b", Restart::Never, book, cx);
        cx.send(a, Pair(b.into())).expect("there is room");
        cx.send(a, Panic).expect("there is room");
        cx.after(Duration::from_millis(5), b, Panic).expect("a shard has timers left");
    });
    assert_eq!(noted.len(), 5, "{noted:?}");
    assert!(noted[3].starts_with("a2 stopped: Linked("), "{noted:?}");
    assert_eq!([&noted[..3], &noted[4..]].concat(), ["a1 at 0", "b1 at 0", "a2 at 10", "a3 at 30"]);
    world.shut_down_after_panics(2);
}

#[test]
fn a_failure_is_passed_on_by_who_waits_to_be_made_anew_and_never_is() {
    let (noted, _, world) = noted::<ONE>(|book, cx| {
        let a = start("a", Restart::Always, book, cx);
        let b = start("b", Restart::Never, book, cx);
        let c = cx.spawn(lives("c", book, nothing)()).expect("there is a slot");
        cx.send(a, Pair(b.into())).expect("there is room");
        cx.send(c, Pair(a.into())).expect("there is room");
        cx.send(a, Panic).expect("there is room");
        cx.after(Duration::from_millis(3), b, Panic).expect("a shard has timers left");
        let me = cx.address();
        cx.after(Duration::from_millis(6), me, Stop).expect("a shard has timers left");
    });
    assert!(noted[3].starts_with("c1 stopped: Linked("), "{noted:?}");
    world.shut_down_after_panics(2);
}

#[test]
fn a_failure_reaches_who_is_linked_while_its_children_end_before_it_is_made_anew() {
    let (noted, _, world) = noted::<ONE>(|book, cx| {
        let b = start("b", Restart::Never, book, cx);
        let made = nest("nest", book, Some(2), 20, move |cx| cx.link(b).expect("there is room"));
        cx.spawn_child(Restart::Always, made).expect("there is a slot");
        cx.after(Duration::from_millis(10), b, Panic).expect("a shard has timers left");
    });
    let nests: Vec<_> = noted.iter().filter(|line| !line.starts_with("b1")).collect();
    assert_eq!(nests.len(), 4, "{noted:?}");
    assert_eq!([nests[0], nests[1], nests[3]], ["nest1 at 0", "nest2 at 30", "nest3 at 50"]);
    assert!(nests[2].starts_with("boss stopped: Linked("), "{noted:?}");
    world.shut_down_after_panics(2);
}

/// A child of this actor's that ends so many milliseconds from now, if it is told to before.
fn slow_to_end(ms: u64, cx: &mut Context<Boss>) {
    struct Slowly(Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>);
    impl Actor for Slowly {
        fn started(&mut self, cx: &mut Context<Self>) {
            let until = self.0.take().expect("it is never made anew");
            cx.wait(until, |_, (), _| ()).expect("there is room");
        }

        fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
            Stopping::AfterMail
        }
    }
    let mut until: Option<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Some(Box::pin(later(ms, cx)));
    cx.spawn_child(Restart::Never, move || Slowly(until.take())).expect("there is a slot");
}

/// A supervisor as a child: it fails so many milliseconds after it was made for the first time, and its child takes its
/// time.
fn nest<F: Fn(&mut Context<Boss>) + Clone + 'static>(
    name: &'static str,
    book: &Book,
    fails_after: Option<u64>,
    ends_after: u64,
    first: F,
) -> impl FnMut() -> Boss + use<F> {
    let (book, mut life) = (book.clone(), 0);
    move || {
        life += 1;
        let (life, own, first) = (life, book.clone(), first.clone());
        let begin = move |cx: &mut Context<Boss>| {
            own.note(format!("{name}{life} at {}", to_tens(cx)));
            if life > 1 {
                return;
            }
            first(cx);
            slow_to_end(ends_after, cx);
            if let Some(ms) = fails_after {
                let soon = later(ms, cx);
                cx.pipe(soon, |_, (), _| panic!("on purpose")).expect("there is room");
            }
        };
        Boss { book: book.clone(), begin: Rc::new(RefCell::new(begin)) }
    }
}

#[test]
fn a_child_that_was_started_while_the_others_are_made_anew_and_failed_then_is_too() {
    let (noted, _, world) = noted::<ALL>(|book, cx| {
        let a = start("a", Restart::Always, book, cx);
        cx.spawn_child(Restart::Always, nest("b", book, None, 20, |_| ())).expect("there is a slot");
        start("c", Restart::Always, book, cx);
        cx.send(a, Panic).expect("there is room");
        let book = book.clone();
        let soon = later(5, cx);
        let begun = cx.pipe(soon, move |_, (), cx| {
            // It fails after 5 ms more, and is over when the others are made anew.
            cx.spawn_child(Restart::Always, nest("n", &book, Some(5), 50, |_| ())).expect("there is a slot");
        });
        begun.expect("there is room");
    });
    let first = ["a1 at 0", "b1 at 0", "c1 at 0", "c1 stopped: Supervisor", "n1 at 0"];
    assert_eq!(noted[..5], first);
    assert_eq!(noted[5..], ["boss stopped: Supervisor", "a2 at 30", "b2 at 30", "c2 at 30", "n2 at 50"]);
    world.shut_down_after_panics(2);
}

#[test]
fn who_is_due_to_be_made_anew_while_those_after_it_still_end_is_made_anew() {
    let (noted, _, world) = noted::<REST>(|book, cx| {
        let a = start("a", Restart::Always, book, cx);
        cx.send(a, Panic).expect("there is room");
        let book = book.clone();
        // Started while `a` is out, it fails too, and takes longer.
        let soon = later(2, cx);
        let begun = cx.pipe(soon, move |_, (), cx| {
            cx.spawn_child(Restart::Always, nest("n", &book, Some(2), 30, |_| ())).expect("there is a slot");
        });
        begun.expect("there is room");
    });
    assert_eq!(noted, ["a1 at 0", "n1 at 0", "a2 at 10", "n2 at 40"]);
    world.shut_down_after_panics(2);
}

/// A session with children.
struct Guest(Book);

impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let made = |name| lives(name, &self.0, nothing);
        let a = cx.spawn_child(Restart::Always, made("a")).expect("there is a slot");
        cx.spawn_child(Restart::Always, made("b")).expect("there is a slot");
        cx.send(a, Panic)?;
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }

    fn closed(&mut self, reason: CloseReason, _: &mut Context<Self>) {
        self.0.note(format!("closed: {}", reason.code));
    }
}

#[test]
fn the_children_of_a_session_end_with_it() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = World::new(1).at("/", move |_: &Upgrade| Ok(Guest(theirs.clone())));
    world.client(Client::at("/").wait(Duration::from_millis(50)).close(1000));
    world.run_until_quiet(10_000);
    world.run_for(100);
    let noted = book.take();
    let told =
        ["closed: 1000", "b1 stopping", "b1 stopped: Supervisor", "a2 stopping", "a2 stopped: Supervisor"];
    assert_eq!(noted[3..], told, "{noted:?}");
    world.shut_down_after_panics(1);
}

#[test]
fn a_server_that_has_no_more_time_ends_families_in_order_too() {
    let (_, book, mut world) = noted::<ONE>(|book, cx| {
        let mut made = lives("a", book, |_, cx| {
            // It waits for what never comes, so nothing but time ends its mail.
            cx.wait(std::future::pending::<()>(), |_: &mut Part, (), _| ()).expect("there is room");
        });
        let stuck = move || Part { stopping: Stopping::AfterMail, ..made() };
        let stuck = cx.spawn_child(Restart::Always, stuck).expect("there is a slot");
        cx.send(stuck, Say("never heard")).expect("there is room");
        start("b", Restart::Always, book, cx);
    });
    world.drain();
    world.run_for(100);
    let last = ["b1 stopping", "b1 stopped: Shutdown", "a1 stopping"];
    assert_eq!(book.take(), last);
    world.shut_down();
    assert_eq!(book.take(), ["a1 stopped: Shutdown", "boss stopped: Shutdown"]);
}
