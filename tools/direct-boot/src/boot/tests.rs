//! Boots a made-up kernel in a made-up machine, and reads it all back.
//!
//! What the kernel would see is looked up through the page tables that were built for it.

use super::*;
use crate::{
    PAGE,
    fixture::{ElfSegment, Random, elf, qemu_memory, request, tar, walk, words},
    protocol::{ARGUMENT, BASE_REVISION_MAGIC, KERNEL_BASE, RESPONSE},
};

const RAM: u64 = 32 << 20;
const RSDP: u64 = 0xf_5a00;
const INITRD: u64 = 24 << 20;
const DATA: u64 = KERNEL_BASE + 0x2000;

/// Physical memory as a vector. `prepare` claims in ascending order, so that splitting from the front suffices.
struct Ram<'m> {
    rest: &'m mut [u8],
    start: u64,
}

impl<'m> Frames<'m> for Ram<'m> {
    fn lend(&mut self, claim: Claim) -> &'m mut [u8] {
        let Span { start, end } = claim.span();
        let rest = core::mem::take(&mut self.rest);
        let (lent, rest) = rest[(start - self.start) as usize..].split_at_mut((end - start) as usize);
        (self.rest, self.start) = (rest, end);
        lent
    }
}

/// A booted machine, and the features in the order of their requests in the data segment.
struct Booted {
    ram: Vec<u8>,
    launch: Launch,
    features: Vec<Feature>,
}

impl Booted {
    fn word(&self, address: u64) -> u64 {
        let at = walk(&self.ram, 0, self.launch.root, address).expect("mapped").physical as usize;
        u64::from_le_bytes(self.ram[at..at + 8].try_into().unwrap())
    }

    fn text(&self, address: u64) -> String {
        let at = walk(&self.ram, 0, self.launch.root, address).expect("mapped").physical as usize;
        self.ram[at..].iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
    }

    /// Word `index` of the response to `feature`; panics where there is no response.
    fn response(&self, feature: Feature, index: u64) -> u64 {
        let at = self.features.iter().position(|&f| f == feature).expect("requested");
        let response = self.word(DATA + 24 + (at * (ARGUMENT + 1) + RESPONSE) as u64 * 8);
        assert!(response >= HHDM, "{feature:?} was not answered");
        self.word(response + index * 8)
    }

    fn regions(&self) -> Vec<[u64; 3]> {
        let (count, list) = (self.response(Feature::MemoryMap, 1), self.response(Feature::MemoryMap, 2));
        let entries = (0..count).map(|i| self.word(list + i * 8));
        entries.map(|entry| [0, 8, 16].map(|offset| self.word(entry + offset))).collect()
    }
}

fn kernel(requests: &[(Feature, u64)]) -> Vec<u8> {
    let mut data = words(&[BASE_REVISION_MAGIC[0], BASE_REVISION_MAGIC[1], 2]);
    requests.iter().for_each(|&(feature, argument)| data.extend(words(&request(feature, argument))));
    let text = ElfSegment { address: KERNEL_BASE, memory: 0x1800, flags: 5, data: &[0x90; 0x1800] };
    elf(KERNEL_BASE + 4, &[text, ElfSegment { address: DATA, memory: 0x9000, flags: 6, data: &data }])
}

fn try_boot(archive: &[u8]) -> Result<(Vec<u8>, Launch), BootError> {
    let mut ram = vec![0xcc; RAM as usize];
    let machine = Machine {
        firmware: qemu_memory(RAM).into_iter(),
        loader: Span { start: 0x10_0000, end: 0x13_0000 },
        initrd: Span { start: INITRD, end: INITRD + archive.len() as u64 },
        archive,
        rsdp: Some(RSDP),
        now: || Some(1_767_225_600),
    };
    let launch = prepare(&machine, &mut Ram { rest: &mut ram, start: 0 })?;
    Ok((ram, launch))
}

fn boot(requests: &[(Feature, u64)], module: &[u8]) -> Booted {
    let archive = tar(&[("kernel", &kernel(requests)), ("cmdline", b"log=all\n"), ("boot.tar", module)]);
    let (ram, launch) = try_boot(&archive).unwrap();
    Booted { ram, launch, features: requests.iter().map(|request| request.0).collect() }
}

#[test]
fn answers_the_plain_requests() {
    use Feature::{BootloaderInfo, Cmdline, DateAtBoot, FirmwareType, Hhdm, Rsdp};
    let booted = boot(&[BootloaderInfo, Cmdline, DateAtBoot, FirmwareType, Hhdm, Rsdp].map(|f| (f, 0)), b"");
    assert_eq!(booted.text(booted.response(BootloaderInfo, 1)), "direct-boot");
    assert_eq!(booted.text(booted.response(Cmdline, 1)), "log=all");
    assert_eq!(booted.response(DateAtBoot, 1), 1_767_225_600);
    assert_eq!(booted.response(FirmwareType, 1), 0);
    assert_eq!(booted.response(Hhdm, 1), HHDM);
    assert_eq!(booted.response(Rsdp, 1), HHDM + RSDP);
    assert_eq!(booted.word(DATA + 16), 0, "base revision granted");
    assert_eq!(booted.launch.entry, KERNEL_BASE + 4);
}

#[test]
fn loads_the_kernel_where_it_says() {
    let booted = boot(&[(Feature::ExecutableAddress, 0)], b"");
    let (physical, base) =
        (booted.response(Feature::ExecutableAddress, 1), booted.response(Feature::ExecutableAddress, 2));
    assert_eq!(base, KERNEL_BASE);
    for offset in [0, 0x1fff, 0x2000, 0xafff] {
        let found = walk(&booted.ram, 0, booted.launch.root, base + offset).unwrap();
        assert_eq!(found.physical, physical + offset);
        assert_eq!((found.writable, found.executable), (offset >= 0x2000, offset < 0x2000));
    }
    assert_eq!(booted.word(base), 0x9090_9090_9090_9090);
    assert_eq!(booted.word(DATA + 0x8000), 0);
    assert_eq!(walk(&booted.ram, 0, booted.launch.root, 0x10_0000), None, "the lower half is empty");
}

#[test]
fn hands_over_module_and_kernel_file_page_aligned() {
    let module: Vec<u8> = (0..6 << 20).map(|i| (i % 251) as u8).collect();
    let booted = boot(&[(Feature::Modules, 0), (Feature::ExecutableFile, 0)], &module);
    let file = booted.word(booted.response(Feature::Modules, 2));
    let address = booted.word(file + 8);
    assert!(address.is_multiple_of(PAGE) && booted.word(file + 16) == 6 << 20);
    assert_eq!(booted.ram[(address - HHDM) as usize..][..6 << 20], module);
    assert_eq!(booted.text(booted.word(file + 24)), "/boot.tar");
    let file = booted.response(Feature::ExecutableFile, 1);
    assert!(booted.word(file + 8).is_multiple_of(PAGE));
    assert_eq!(booted.word(booted.word(file + 8)) as u32, u32::from_le_bytes(*b"\x7fELF"));
    assert_eq!(booted.text(booted.word(file + 32)), "log=all");
}

#[test]
fn the_map_covers_what_was_handed_over_and_frees_the_archive() {
    let booted = boot(&[(Feature::MemoryMap, 0), (Feature::ExecutableAddress, 0)], &[1; 5000]);
    let regions = booted.regions();
    let kind_at =
        |address| regions.iter().find(|[start, length, _]| (*start..start + length).contains(&address)).unwrap()[2];
    assert_eq!(kind_at(INITRD), Kind::Usable as u64);
    assert_eq!(kind_at(booted.response(Feature::ExecutableAddress, 1)), Kind::Kernel as u64);
    for loader in [0x10_0000, booted.launch.root, booted.launch.stack_top - HHDM - 8] {
        assert_eq!(kind_at(loader), Kind::Loader as u64);
    }
    let usable: u64 = regions.iter().filter(|region| region[2] == 0).map(|region| region[1]).sum();
    assert!(usable > RAM - (2 << 20), "{usable:#x}");
}

#[test]
fn honours_stack_size_and_entry_point() {
    let sized = boot(&[(Feature::StackSize, 1 << 20), (Feature::EntryPoint, KERNEL_BASE + 0x100)], b"");
    let plain = boot(&[], b"");
    assert_eq!(sized.launch.entry, KERNEL_BASE + 0x100);
    assert_eq!(sized.launch.stack_top - plain.launch.stack_top, (1 << 20) - STACK_MINIMUM);
}

#[test]
fn refuses_an_entry_outside_the_text_and_a_kernel_too_large() {
    let archive = |kernel: Vec<u8>, module: &[u8]| tar(&[("kernel", &kernel), ("cmdline", b""), ("boot.tar", module)]);
    let lost = try_boot(&archive(kernel(&[(Feature::EntryPoint, DATA)]), b""));
    assert_eq!(lost.unwrap_err(), BootError::BadEntry(DATA));
    let huge = try_boot(&archive(kernel(&[]), &vec![0; 23 << 20]));
    assert!(matches!(huge, Err(BootError::OutOfMemory { what: "boot archive", .. })));
    let greedy = try_boot(&archive(kernel(&[(Feature::StackSize, u64::MAX)]), b""));
    assert!(matches!(greedy, Err(BootError::OutOfMemory { what: "stack", .. })));
}

#[test]
fn a_damaged_kernel_is_refused_or_booted_but_never_panics() {
    let sound = kernel(&[(Feature::MemoryMap, 0), (Feature::StackSize, 1 << 17), (Feature::EntryPoint, KERNEL_BASE)]);
    let mut random = Random(11);
    for _ in 0..50 {
        let mut damaged = sound.clone();
        for _ in 0..3 {
            // The headers at the front and the requests at the back are what the loader reads.
            let at = random.below(300) as usize;
            let length = damaged.len();
            damaged[if at < 176 { at } else { length - (at - 175) }] = random.below(256) as u8;
        }
        let _ = try_boot(&tar(&[("kernel", &damaged), ("cmdline", b""), ("boot.tar", b"")]));
    }
}
