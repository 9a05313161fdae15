//! All threads of the machine, as the core lists them.

use parley_abi::Errno;
use parley_abi::call::ThreadInfo;
use parley_abi::slot;
use parley_rt::sys;

/// Describes every thread. EPERM, EBADF: this process may not ask, and the list ends.
pub fn all() -> impl Iterator<Item = Result<ThreadInfo, Errno>> {
    let mut next = Some(0);
    core::iter::from_fn(move || {
        while let Some(number) = next {
            let mut info = ThreadInfo::default();
            let answer = sys::thread_info(number, &mut info);
            next = following(number, answer);
            match answer {
                Ok(_) => return Some(Ok(info)),
                Err(Errno::ESRCH) => {}
                Err(errno) => return Some(Err(errno)),
            }
        }
        None
    })
}

/// The number to ask for after `number` was answered so.
fn following(number: u32, answer: Result<u32, Errno>) -> Option<u32> {
    match answer {
        Ok(next) => (next > number).then_some(next),
        Err(_) => None,
    }
}

/// The priority of this process's threads; 1, the lowest that is not idle, if the core does not say.
pub fn own_priority() -> u8 {
    let Ok((_, _, space)) = sys::handle_info(slot::SPACE) else { return 1 };
    let own = all().flatten().find(|thread| thread.space == space);
    own.map_or(1, |thread| thread.priority as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_always_ends() {
        assert_eq!(following(3, Ok(5)), Some(5));
        assert_eq!(following(3, Ok(0)), None);
        assert_eq!(following(3, Ok(3)), None, "a list that does not go on is over");
        assert_eq!(following(3, Err(Errno::ESRCH)), None);
        assert_eq!(following(3, Err(Errno::EPERM)), None);
    }
}
