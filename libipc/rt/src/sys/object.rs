//! Handles, endpoints and call tables.

use parley_abi::Errno;
use parley_abi::call::{
    ENDPOINT_CREATE, HANDLE_COPY, HANDLE_DROP, HANDLE_GRANT, HANDLE_INFO, HANDLE_MOVE, Rights, SPACE_FAULTS,
    SPACE_NAME, SPACE_TABLE, TABLE_CREATE,
};
use parley_abi::row::Row;

use super::checked;

/// For [`handle_copy`]: the lowest free slot from [`parley_abi::slot::FREE`] on.
pub const LOWEST_FREE: u64 = u64::MAX;

/// Drops a handle. Errors: see [`HANDLE_DROP`].
pub fn handle_drop(handle: u32) -> Result<(), Errno> {
    // SAFETY: dropping a handle unmaps nothing.
    unsafe { checked(HANDLE_DROP, [u64::from(handle), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Copies a handle within the own table, to slot `to` or [`LOWEST_FREE`]; returns the slot.
/// Errors: see [`HANDLE_COPY`].
pub fn handle_copy(handle: u32, to: u64, rights: Rights) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(HANDLE_COPY, [u64::from(handle), to, u64::from(rights.bits()), 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Copies a handle to slot `to` of the table of `space`. Errors: see [`HANDLE_GRANT`].
pub fn handle_grant(space: u32, handle: u32, to: u32, rights: Rights) -> Result<(), Errno> {
    let args = [u64::from(space), u64::from(handle), u64::from(to), u64::from(rights.bits()), 0, 0];
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(HANDLE_GRANT, args) }.map(drop)
}

/// Moves a handle to slot `to` of `space`, keeping only `rights`. Errors: see [`HANDLE_MOVE`].
pub fn handle_move(space: u32, handle: u32, to: u32, rights: Rights) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe {
        checked(HANDLE_MOVE, [u64::from(space), u64::from(handle), u64::from(to), u64::from(rights.bits()), 0, 0])
    }
    .map(drop)
}

/// Kind ([`parley_abi::call::kind`]), rights and object number of a handle. Errors: see [`HANDLE_INFO`].
pub fn handle_info(handle: u32) -> Result<(u8, Rights, u32), Errno> {
    // SAFETY: the call touches no memory of ours.
    let info = unsafe { checked(HANDLE_INFO, [u64::from(handle), 0, 0, 0, 0, 0]) }?;
    Ok((info as u8, Rights::from_bits_truncate((info >> 8) as u8), (info >> 32) as u32))
}

/// How many threads the address space in this slot has, at most 65535. Errors: see [`HANDLE_INFO`].
pub fn space_threads(space: u32) -> Result<u16, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(HANDLE_INFO, [u64::from(space), 0, 0, 0, 0, 0]) }.map(|info| (info >> 16) as u16)
}

/// Creates an endpoint; returns its slot. Errors: see [`ENDPOINT_CREATE`].
pub fn endpoint_create(quota: u32) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(ENDPOINT_CREATE, [u64::from(quota), 0, 0, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Makes a call table; returns its slot. Errors: see [`TABLE_CREATE`].
pub fn table_create(quota: u32, rows: &[Row]) -> Result<u32, Errno> {
    let at = rows.as_ptr().expose_provenance() as u64;
    // SAFETY: the core only reads the rows, which are 16 bytes each without padding.
    unsafe { checked(TABLE_CREATE, [u64::from(quota), at, rows.len() as u64, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Gives a space a call table. Errors: see [`SPACE_TABLE`].
pub fn space_table(space: u32, table: u32) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(SPACE_TABLE, [u64::from(space), u64::from(table), 0, 0, 0, 0]) }.map(drop)
}

/// Names a space, for people: what fits of `name`. Errors: see [`SPACE_NAME`].
pub fn space_name(space: u32, name: &[u8]) -> Result<(), Errno> {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    let [first, second] = [0, 8].map(|at| u64::from_le_bytes(*bytes[at..].first_chunk().expect("8 of 16 bytes")));
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(SPACE_NAME, [u64::from(space), first, second, 0, 0, 0]) }.map(drop)
}

/// Faults of a space become requests on `connection`. Errors: see [`SPACE_FAULTS`].
pub fn space_faults(space: u32, connection: u32) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(SPACE_FAULTS, [u64::from(space), u64::from(connection), 0, 0, 0, 0]) }.map(drop)
}
