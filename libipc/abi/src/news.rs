//! Notification bits by which init tells servers something. The core sets one of its own, [`crate::call::LOG_BIT`].

/// Notification bit by which init asks a server whether it is still there.
pub const HEARTBEAT_BIT: u64 = 1 << 62;
/// Notification bit by which init makes a server hang in circles, for `svc hang`.
pub const HANG_BIT: u64 = 1 << 61;
/// Notification bit by which init makes a server wait for ever, for `svc stall`.
pub const STALL_BIT: u64 = 1 << 60;
/// Notification bit by which init tells a service that its peer `service` has been started, at first or again.
pub const fn news_bit(service: u8) -> u64 {
    1 << (32 + service)
}

/// Notification bit by which init tells a service that the driver `service` is no longer there.
pub const fn gone_bit(service: u8) -> u64 {
    1 << (40 + service)
}
