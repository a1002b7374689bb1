//! As much of a list as one answer holds.

use crate::domain::Result;

/// Bytes of texts in an answer. Half of what a gateway takes: an entry has more than its texts.
const MOST: usize = 8 * 1024 * 1024;
/// What an entry takes beside its long texts.
const ENTRY: usize = 4 * 1024;
/// The same of a small one.
const SMALL: usize = 256;

/// Reads entries, `at_once` of them at a time, until the answer is full; one fits always.
///
/// # Errors
/// What `read` gives.
pub(super) async fn that_fits<K, V, F>(
    keys: Vec<K>,
    at_once: usize,
    read: impl Fn(Vec<K>) -> F,
    texts: impl Fn(&V) -> usize,
) -> Result<Vec<V>>
where
    F: Future<Output = Result<Vec<V>>>,
{
    let mut keys = keys.into_iter();
    let (mut fitting, mut bytes) = (Vec::new(), 0);
    loop {
        let some: Vec<K> = keys.by_ref().take(at_once).collect();
        if some.is_empty() {
            return Ok(fitting);
        }
        for entry in read(some).await? {
            bytes += ENTRY + texts(&entry);
            if bytes > MOST && !fitting.is_empty() {
                return Ok(fitting);
            }
            fitting.push(entry);
        }
    }
}

/// The beginning of a list that an answer holds; one entry fits always. For entries that are small and were read at once.
pub(super) fn beginning<V>(entries: Vec<V>, texts: impl Fn(&V) -> usize) -> Vec<V> {
    let mut bytes = 0;
    let fits = move |entry: &V| {
        let is_first = bytes == 0;
        bytes += SMALL + texts(entry);
        is_first || bytes <= MOST
    };
    entries.into_iter().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn an_answer_ends_when_it_is_full() {
        let asked = RefCell::new(Vec::new());
        let part = async |size: usize| {
            asked.borrow_mut().clear();
            let read = |keys: Vec<usize>| {
                asked.borrow_mut().extend(keys.clone());
                std::future::ready(Ok(keys))
            };
            that_fits((0..10).collect(), 2, read, |_| size).await.unwrap()
        };
        assert_eq!(part(0).await, (0..10).collect::<Vec<_>>());
        assert_eq!(part(MOST / 3).await, [0, 1]);
        assert_eq!(*asked.borrow(), [0, 1, 2, 3], "no more is read");
        assert_eq!(part(MOST).await, [0], "one fits always");
        assert_eq!(beginning(vec![0, 1, 2], |_| MOST / 3), [0, 1]);
        assert_eq!(beginning(vec![0, 1], |_| MOST), [0], "one fits always");
    }
}
