//! The numbers of the Limine boot protocol that this loader speaks.
//!
//! Source: the protocol's own text, `PROTOCOL.md` of Limine 8.2, base revision 2; the command line request is younger
//! than that text and follows the `limine` crate 0.5. All values are 64-bit little-endian words on 8-byte boundaries.

/// First two words of every request.
pub const COMMON_MAGIC: [u64; 2] = [0xc7b1_dd30_df4c_8b88, 0x0a82_e883_a194_f07b];
/// First two words of the base revision tag; the third is the revision, set to 0 where it is granted.
pub const BASE_REVISION_MAGIC: [u64; 2] = [0xf956_2b2d_5c95_a6c8, 0x6a7b_3849_4453_6bdc];
/// Requests before the last of these are ignored.
pub const START_MARKER: [u64; 4] =
    [0xf6b8_f4b3_9de7_d1ae, 0xfab9_1a69_40fc_b9cf, 0x785c_6ed0_15d3_e316, 0x181e_920a_7852_b9d9];
/// Requests after the first of these are ignored.
pub const END_MARKER: [u64; 2] = [0xadc0_e053_1bb1_0d03, 0x9572_709f_3176_4c62];

/// Highest base revision that is served.
pub const NEWEST_BASE_REVISION: u64 = 2;
/// Lowest base revision that is served: 0 would demand an identity map.
pub const OLDEST_BASE_REVISION: u64 = 1;

/// Where all physical memory appears in the kernel's address space.
pub const HHDM: u64 = 0xffff_8000_0000_0000;
/// The HHDM reaches at least this far, whatever the memory map says, in bytes.
pub const HHDM_MINIMUM: u64 = 4 << 30;
/// Lowest virtual address of a kernel.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
/// Smallest stack that a kernel is entered with, in bytes.
pub const STACK_MINIMUM: u64 = 64 << 10;

/// Index of the response pointer in a request, in words.
pub const RESPONSE: usize = 5;
/// Index of a request's own argument (stack size, entry point), in words.
pub const ARGUMENT: usize = 6;

/// The requests that are answered; the response pointer of any other one stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Name and version of the loader.
    BootloaderInfo,
    /// The kernel's command line.
    Cmdline,
    /// BIOS or UEFI.
    FirmwareType,
    /// A stack of the kernel's own choice of size.
    StackSize,
    /// Offset of the higher-half direct map.
    Hhdm,
    /// What lies where in physical memory.
    MemoryMap,
    /// An entry point other than the ELF header's.
    EntryPoint,
    /// The kernel's own file.
    ExecutableFile,
    /// Where the kernel was loaded.
    ExecutableAddress,
    /// Files handed over with the kernel.
    Modules,
    /// The ACPI root pointer.
    Rsdp,
    /// The wall clock.
    DateAtBoot,
}

impl Feature {
    /// The two words that follow [`COMMON_MAGIC`] in this request.
    #[must_use]
    pub const fn id(self) -> [u64; 2] {
        match self {
            Self::BootloaderInfo => [0xf550_38d8_e2a1_202f, 0x2794_26fc_f5f5_9740],
            Self::Cmdline => [0x4b16_1536_e598_651e, 0xb390_ad4a_2f1f_303a],
            Self::FirmwareType => [0x8c2f_75d9_0bef_28a8, 0x7045_a468_8eac_00c3],
            Self::StackSize => [0x224e_f046_0a8e_8926, 0xe1cb_0fc2_5f46_ea3d],
            Self::Hhdm => [0x48dc_f1cb_8ad2_b852, 0x6398_4e95_9a98_244b],
            Self::MemoryMap => [0x67cf_3d9d_378a_806f, 0xe304_acdf_c50c_3c62],
            Self::EntryPoint => [0x13d8_6c03_5a1c_d3e1, 0x2b0c_aa89_d8f3_026a],
            Self::ExecutableFile => [0xad97_e90e_83f1_ed67, 0x31eb_5d1c_5ff2_3b69],
            Self::ExecutableAddress => [0x71ba_7686_3cc5_5f63, 0xb264_4a48_c516_a487],
            Self::Modules => [0x3e7e_2797_02be_32af, 0xca1c_4f3b_d128_0cee],
            Self::Rsdp => [0xc5e7_7b6b_397e_7b43, 0x2763_7845_accd_cf3c],
            Self::DateAtBoot => [0x5027_46e1_84c0_88aa, 0xfbc5_ec83_e632_7893],
        }
    }
}
