//! Doing independent jobs side by side: machines take one processor each.

use std::sync::Mutex;
use std::thread;

/// Side by side at most: QEMU translates in threads of its own, and more than two machines on
/// a small host only make each other time out.
const MOST: usize = 2;

/// Applies `work` to every item, a few at a time, and returns the results in order. A machine
/// must be started and waited for inside one call: its thread may not end before it does.
pub fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, |n| n.get());
    let count = items.len();
    let queue = Mutex::new(items.into_iter().enumerate());
    let results = Mutex::new(Vec::with_capacity(count));
    let worker = || {
        loop {
            let next = queue.lock().expect("the queue's holder cannot panic").next();
            let Some((index, item)) = next else { break };
            let result = work(item);
            results.lock().expect("the holder cannot panic").push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..processors.min(MOST).min(count) {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().expect("every worker has ended");
    results.sort_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_order() {
        let squares = super::map((0..20).collect(), |n: u32| n * n);
        assert_eq!(squares[19], 361);
        assert!(squares.is_sorted());
    }
}
