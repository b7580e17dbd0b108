//! The lane: items once and in order, close seen, nothing leaked.

use crate::ring::spsc;
use loom::thread;

#[test]
fn batches_arrive_once_and_in_order() {
    loom::model(|| {
        let (mut tx, mut rx) = spsc::channel(2);
        let producer = thread::spawn(move || {
            tx.push(Box::new(1)).unwrap();
            tx.push(Box::new(2)).unwrap();
            tx.publish();
            while tx.room() == 0 {
                thread::yield_now();
            }
            tx.push(Box::new(3)).unwrap();
        });
        let mut seen = Vec::new();
        while !rx.is_closed() {
            seen.extend(rx.drain(8).map(|item| *item));
            thread::yield_now();
        }
        assert_eq!(seen, [1, 2, 3]);
        producer.join().unwrap();
    });
}
