//! What a message costs with kameo, ractor and actix, on one thread: the same as `benches/benches/actor.rs` for corewire.
//!
//! Each in the strongest form that we found: tokio's runtime of one thread, messages of 32 bytes sent in bursts, and as many
//! may wait as wait with corewire. ractor's mailbox has no bound; actix's is passed over by `do_send`, its fastest.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A message of 32 bytes.
#[derive(Clone, Copy)]
struct Note([u64; 4]);

/// What every reader does.
#[derive(Default)]
struct Count {
    left: u64,
    sum: u64,
    done: Option<oneshot::Sender<()>>,
}

/// How many to expect, and whom to tell.
struct Expect(u64, oneshot::Sender<()>);

impl Count {
    fn expect(&mut self, Expect(notes, done): Expect) {
        (self.left, self.done) = (notes, Some(done));
    }

    fn read(&mut self, Note(words): Note) {
        self.sum = black_box(self.sum.wrapping_add(words[0]));
        self.left -= 1;
        if self.left == 0
            && let Some(done) = self.done.take()
        {
            let _ = done.send(()); // the bench waits for it
        }
    }
}

/// One framework's actors.
trait Framework {
    const NAME: &'static str;
    type Reader;
    async fn spawn() -> Self::Reader;
    async fn expect(reader: &Self::Reader, expect: Expect);
    async fn burst(reader: &Self::Reader, notes: impl Iterator<Item = Note>);
}

struct Kameo;
mod with_kameo {
    use super::{Count, Expect, Framework, Kameo, MAILBOX, Note};
    use kameo::prelude::*;

    #[derive(Actor, Default)]
    pub(super) struct Reader(Count);

    impl Message<Note> for Reader {
        type Reply = ();
        async fn handle(&mut self, note: Note, _: &mut Context<Self, ()>) {
            self.0.read(note);
        }
    }
    impl Message<Expect> for Reader {
        type Reply = ();
        async fn handle(&mut self, expect: Expect, _: &mut Context<Self, ()>) {
            self.0.expect(expect);
        }
    }

    impl Framework for Kameo {
        const NAME: &'static str = "kameo";
        type Reader = ActorRef<Reader>;
        async fn spawn() -> Self::Reader {
            Reader::spawn_with_mailbox(Reader::default(), mailbox::bounded(MAILBOX))
        }
        async fn expect(reader: &Self::Reader, expect: Expect) {
            reader.tell(expect).await.expect("it lives");
        }
        async fn burst(reader: &Self::Reader, notes: impl Iterator<Item = Note>) {
            for note in notes {
                reader.tell(note).await.expect("it lives");
            }
        }
    }
}

struct Ractor;
mod with_ractor {
    use super::{Count, Expect, Framework, Note, Ractor};
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    pub(super) struct Reader;
    pub(super) enum Message {
        Note(Note),
        Expect(Expect),
    }

    impl Actor for Reader {
        type Msg = Message;
        type State = Count;
        type Arguments = ();
        async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<Count, ActorProcessingErr> {
            Ok(Count::default())
        }
        async fn handle(
            &self,
            _: ActorRef<Message>,
            message: Message,
            state: &mut Count,
        ) -> Result<(), ActorProcessingErr> {
            match message {
                Message::Note(note) => state.read(note),
                Message::Expect(expect) => state.expect(expect),
            }
            Ok(())
        }
    }

    impl Framework for Ractor {
        const NAME: &'static str = "ractor";
        type Reader = ActorRef<Message>;
        async fn spawn() -> Self::Reader {
            Actor::spawn(None, Reader, ()).await.expect("it starts").0
        }
        async fn expect(reader: &Self::Reader, expect: Expect) {
            reader.cast(Message::Expect(expect)).expect("it lives");
        }
        async fn burst(reader: &Self::Reader, notes: impl Iterator<Item = Note>) {
            for note in notes {
                reader.cast(Message::Note(note)).expect("it lives");
            }
            tokio::task::yield_now().await;
        }
    }
}

struct Actix;
mod with_actix {
    use super::{Actix, Count, Expect, Framework, Note};
    use actix::prelude::*;

    #[derive(Default)]
    pub(super) struct Reader(Count);
    impl Actor for Reader {
        type Context = Context<Self>;
    }
    impl Message for Note {
        type Result = ();
    }
    impl Message for Expect {
        type Result = ();
    }
    impl Handler<Note> for Reader {
        type Result = ();
        fn handle(&mut self, note: Note, _: &mut Context<Self>) {
            self.0.read(note);
        }
    }
    impl Handler<Expect> for Reader {
        type Result = ();
        fn handle(&mut self, expect: Expect, _: &mut Context<Self>) {
            self.0.expect(expect);
        }
    }

    impl Framework for Actix {
        const NAME: &'static str = "actix";
        type Reader = Addr<Reader>;
        async fn spawn() -> Self::Reader {
            Reader::default().start()
        }
        async fn expect(reader: &Self::Reader, expect: Expect) {
            reader.do_send(expect);
        }
        async fn burst(reader: &Self::Reader, notes: impl Iterator<Item = Note>) {
            for note in notes {
                reader.do_send(note);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Sends `notes` to `readers` in turn, in bursts, and waits until they are handled.
async fn run<F: Framework>(readers: &[F::Reader], notes: u64) -> Duration {
    let each = notes.div_ceil(readers.len() as u64);
    let mut finished = Vec::new();
    for reader in readers {
        let (done, told) = oneshot::channel();
        F::expect(reader, Expect(each, done)).await;
        finished.push(told);
    }
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let mut left = each;
    while left > 0 {
        // A burst to one, or one to each: as many wait at most as with corewire.
        let burst = left.min((BURST / readers.len() as u64).max(1));
        for reader in readers {
            F::burst(reader, (0..burst).map(|n| Note([n; 4]))).await;
        }
        left -= burst;
    }
    for told in finished {
        told.await.expect("a reader says when it is done");
    }
    begun.elapsed().mul_f64(notes as f64 / (each * readers.len() as u64) as f64)
}

fn sending<F: Framework>(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let local = tokio::task::LocalSet::new(); // actix wants one
    let mut group = c.benchmark_group("send_and_handle_32_bytes");
    group.throughput(Throughput::Elements(1));
    for readers in [1, 1000] {
        let readers: Vec<F::Reader> = local.block_on(&runtime, async {
            let mut all = Vec::new();
            for _ in 0..readers {
                all.push(F::spawn().await);
            }
            all
        });
        group.bench_function(BenchmarkId::new(F::NAME, readers.len()), |b| {
            b.iter_custom(|notes| local.block_on(&runtime, run::<F>(&readers, notes)));
        });
    }
    group.finish();
}

const MAILBOX: usize = 4096;
const BURST: u64 = 256;

criterion_group!(benches, sending::<Kameo>, sending::<Ractor>, sending::<Actix>);
criterion_main!(benches);
