//! Program files, kernel files, and the requests inside a kernel.

use direct_boot::image::Plan;
use direct_boot::protocol::Feature;
use direct_boot::requests::Requests;
use parley_abi::call::prot;
use parley_abi::{PAGE, USER_END, USER_START};
use parley_init::image::Image;

/// What init's loader relies on: parts in order, in the user half, in the file, never written and executed.
pub fn program(mut bytes: &[u8]) {
    let length = bytes.len() as u64;
    let Ok(image) = Image::read(&mut bytes) else { return };
    let mut last = USER_START;
    for segment in image.segments() {
        let end = segment.address + segment.pages * PAGE as u64;
        assert!(segment.address >= last && end <= USER_END && segment.pages > 0, "{segment:?} after {last:#x}");
        assert!(segment.skip + segment.bytes <= segment.pages * PAGE as u64, "{segment:?} overflows its pages");
        assert!(segment.bytes == 0 || segment.offset + segment.bytes <= length, "{segment:?} of {length} bytes");
        let both = prot::WRITE | prot::EXECUTE;
        assert!(segment.prot & both != both, "{segment:?}");
        last = end;
    }
    assert!((USER_START..USER_END).contains(&image.entry), "entry {:#x}", image.entry);
}

/// What the direct loader relies on: a plan that is accepted can be carried out.
pub fn kernel(bytes: &[u8]) {
    const LARGEST: u64 = 1 << 20;
    let Ok(plan) = Plan::new(bytes) else { return };
    assert!(plan.segments.windows(2).all(|pair| pair[0].pages.end <= pair[1].pages.start), "{plan:?}");
    assert!(plan.initialised() as u64 <= plan.span.end - plan.span.start, "{plan:?}");
    if plan.checked_entry(plan.entry).is_ok() {
        assert!((plan.span.start..plan.span.end).contains(&plan.entry), "{plan:?}");
    }
    if plan.span.end - plan.span.start <= LARGEST {
        let mut image = vec![0xaa; (plan.span.end - plan.span.start) as usize];
        plan.place(bytes, &mut image).expect("what was planned can be placed");
    }
}

/// Requests that are found lie in the image, and an answer changes eight bytes of it.
pub fn requests(bytes: &[u8]) {
    let mut image = bytes.to_vec();
    let Ok(mut requests) = Requests::scan(&mut image) else { return };
    let wanted = requests.wants(Feature::Hhdm);
    requests.answer(Feature::Hhdm, 0x1122_3344_5566_7788);
    // The base revision was granted as well, in one byte or none.
    let changed = image.iter().zip(bytes).filter(|(now, before)| now != before).count();
    assert!(changed <= 8 + if wanted { 8 } else { 0 }, "{changed} bytes changed");
}
