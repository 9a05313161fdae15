//! null, zero and full: devices with nothing behind them.

use parley_abi::{Errno, PAGE};
use parley_proto::{Cx, In, Out, Outcome};

use crate::device::OpenDevice;
use crate::driver::{COUNT_MAX, Driver};

/// Most zeros that one request gets; more would keep everybody else waiting. The count is short then.
pub const ZEROS_MAX: u64 = 1 << 20;

#[repr(align(4096))]
struct Page([u8; PAGE]);

/// What all zeros are copied from.
static ZEROS: Page = Page([0; PAGE]);

/// Ends at once, and takes everything.
pub struct Null;
/// Never ends, and takes everything.
pub struct Zero;
/// Never ends, and has no room.
pub struct Full;

impl Driver for Null {
    fn read(&mut self, _cx: &mut Cx<'_>, _file: OpenDevice, _buf: Out) -> Outcome<'_> {
        Outcome::Done(0)
    }
    fn write(&mut self, _cx: &mut Cx<'_>, _file: OpenDevice, buf: In) -> Outcome<'_> {
        swallow(buf)
    }
}

impl Driver for Zero {
    fn read(&mut self, cx: &mut Cx<'_>, _file: OpenDevice, buf: Out) -> Outcome<'_> {
        zeros(cx, buf)
    }
    fn write(&mut self, _cx: &mut Cx<'_>, _file: OpenDevice, buf: In) -> Outcome<'_> {
        swallow(buf)
    }
}

impl Driver for Full {
    fn read(&mut self, cx: &mut Cx<'_>, _file: OpenDevice, buf: Out) -> Outcome<'_> {
        zeros(cx, buf)
    }
    fn write(&mut self, _cx: &mut Cx<'_>, _file: OpenDevice, buf: In) -> Outcome<'_> {
        match buf.len {
            0 => Outcome::Done(0),
            _ => Outcome::from(Errno::ENOSPC),
        }
    }
}

/// Says that all was written. The buffer isn't looked at, so it may be anywhere, as in Linux.
#[inline(always)]
pub fn swallow(buf: In) -> Outcome<'static> {
    Outcome::Done(buf.len.min(COUNT_MAX).cast_signed())
}

/// Zeros. Up to a page leaves with the reply; more is copied page by page.
fn zeros(cx: &mut Cx<'_>, buf: Out) -> Outcome<'static> {
    few_zeros(buf).unwrap_or_else(|| many_zeros(cx, buf).into())
}

/// Zeros that leave with the reply, if they are no more than a page.
#[inline(always)]
pub fn few_zeros(buf: Out) -> Option<Outcome<'static>> {
    (buf.len <= PAGE as u64).then(|| Outcome::Data(&ZEROS.0[..buf.len as usize]))
}

/// EFAULT, ESTALE: not even the first page could be copied. Not inlined: short reads must not pay for it.
#[inline(never)]
fn many_zeros(cx: &mut Cx<'_>, buf: Out) -> Result<i64, Errno> {
    let wanted = buf.len.min(ZEROS_MAX);
    let mut done = 0;
    while done < wanted {
        let count = (wanted - done).min(PAGE as u64) as usize;
        match buf.write(cx, done, &ZEROS.0[..count]) {
            Ok(0) => break,
            Ok(copied) => done += copied as u64,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done.cast_signed())
}
