//! Random histories of spaces on a model of a processor that caches all it may, for as long as it may.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Spaces that live at once. With tags only the slots below are given one, so that both kinds mix.
const SLOTS: usize = 6;
/// Pages of user memory, and pages below one page table.
const PAGES: u64 = 8;
const SPAN: u64 = 4;
/// The page of the core that is in every space, and global.
const CORE: u64 = 100;
const CORE_FRAME: u64 = 7;

/// A page: its frame, and whether it may be written.
type Page = (u64, bool);
/// Page tables, each with the pages that it maps.
type Tables = BTreeMap<u64, BTreeMap<u64, Page>>;
/// Top-level tables, each with the page tables below it.
type Roots = BTreeMap<u64, BTreeMap<u64, u64>>;

/// What a processor with a TLB does, by the manual.
#[derive(Default)]
struct Model {
    tags: bool,
    cr3: u64,
    roots: Roots,
    tables: Tables,
    /// By tag and page.
    cached: BTreeMap<(u64, u64), Page>,
    /// By tag and span: page tables, cached as well.
    walks: BTreeMap<(u64, u64), u64>,
    global: BTreeMap<u64, Page>,
    /// Loads of CR3 that forgot, and pages that `invlpg` was used on.
    flushes: usize,
}

impl Processor for Model {
    fn load(&mut self, word: u64) {
        let tag = word & TAG;
        assert!(self.tags || (tag == 0 && word & KEEP == 0), "without CR4.PCIDE these bits fault: {word:#x}");
        if word & KEEP == 0 {
            self.cached.retain(|&(of, _), _| of != tag);
            self.walks.retain(|&(of, _), _| of != tag);
            self.flushes += 1;
        }
        self.cr3 = word & !KEEP;
    }

    fn forget(&mut self, address: u64) {
        let (tag, page) = (self.cr3 & TAG, address / PAGE as u64);
        self.cached.remove(&(tag, page));
        self.global.remove(&page);
        self.walks.retain(|&(of, _), _| of != tag);
        self.flushes += 1;
    }
}

impl Model {
    /// What the tables in memory say of a page of the loaded space.
    fn truth(&self, page: u64) -> Option<Page> {
        let table = self.roots.get(&(self.cr3 & !TAG))?.get(&(page / SPAN))?;
        self.tables.get(table)?.get(&page).copied()
    }

    /// What the processor finds when it accesses a page, and caches on the way.
    fn access(&mut self, page: u64) -> Option<Page> {
        let tag = self.cr3 & TAG;
        if page == CORE {
            return Some(*self.global.entry(page).or_insert((CORE_FRAME, true)));
        }
        if let Some(&found) = self.cached.get(&(tag, page)) {
            return Some(found);
        }
        let table = match self.walks.get(&(tag, page / SPAN)) {
            Some(&table) => table,
            None => *self.roots.get(&(self.cr3 & !TAG))?.get(&(page / SPAN))?,
        };
        self.walks.insert((tag, page / SPAN), table);
        let found = *self.tables.get(&table)?.get(&page)?;
        self.cached.insert((tag, page), found);
        Some(found)
    }
}

/// The core, as far as it has to do with spaces.
struct World {
    cpu: Model,
    loaded: Root,
    spaces: [Option<Root>; SLOTS],
    /// Frames for tables of both kinds: the one freed last is used first, as the core does.
    free: Vec<u64>,
}

const KERNEL: Root = Root(0x1000);

impl World {
    fn new(tags: bool) -> World {
        let free = (2..100).map(|frame| frame << 12).collect();
        let mut cpu = Model { tags, ..Model::default() };
        cpu.load(KERNEL.0);
        World { cpu, loaded: KERNEL, spaces: [None; SLOTS], free }
    }

    /// As `Core::create_space`. The last slots stand for those beyond the last tag.
    fn create(&mut self, slot: usize) {
        let table = self.free.pop().unwrap();
        self.cpu.roots.insert(table, BTreeMap::new());
        let number = if slot < SLOTS - 2 { slot as u32 + 1 } else { slot as u32 + 0x1000 };
        let root = if self.cpu.tags { Root::tagged(Phys(table), number) } else { Root::untagged(Phys(table)) };
        forget_all(&mut self.cpu, self.loaded, root);
        self.spaces[slot] = Some(root);
    }

    /// As `Core::destroy_space_step`, all of them.
    fn destroy(&mut self, slot: usize, root: Root) {
        if self.loaded == root {
            self.switch(KERNEL);
        }
        self.unmap(root, 0, PAGES);
        let tables = self.cpu.roots.remove(&root.table().0).unwrap();
        for table in tables.into_values().chain([root.table().0]) {
            self.cpu.tables.remove(&table);
            self.free.push(table);
        }
        self.spaces[slot] = None;
    }

    /// As `Core::switch_to`.
    fn switch(&mut self, next: Root) {
        if next != self.loaded {
            let before = self.cpu.flushes;
            switch(&mut self.cpu, next);
            self.loaded = next;
            let tagged = next.0 & TAG != 0;
            assert_eq!(self.cpu.flushes - before, usize::from(!tagged), "switch to {next:x?}");
        }
    }

    fn map(&mut self, root: Root, page: u64, to: Page) {
        let below = self.cpu.roots.get_mut(&root.table().0).unwrap();
        let table = *below.entry(page / SPAN).or_insert_with(|| self.free.pop().unwrap());
        self.cpu.tables.entry(table).or_default().entry(page).or_insert(to);
    }

    /// As `Core::unmap_pages`, which is asked only for pages that are mapped.
    fn unmap(&mut self, root: Root, first: u64, pages: u64) {
        for page in first..first + pages {
            let table = self.cpu.roots[&root.table().0].get(&(page / SPAN)).copied();
            if table.and_then(|table| self.cpu.tables.get_mut(&table)?.remove(&page)).is_some() {
                forget(&mut self.cpu, self.loaded, root, page * PAGE as u64, 1);
            }
        }
    }

    /// Nothing that the processor may use now is out of date.
    fn check(&self) {
        let (cpu, tag) = (&self.cpu, self.cpu.cr3 & TAG);
        assert_eq!(self.loaded.0 & !KEEP, cpu.cr3, "what the core believes is loaded");
        for (&(of, page), &found) in &cpu.cached {
            assert!(of != tag || cpu.truth(page) == Some(found), "page {page} under tag {tag}: {found:?} is stale");
        }
        for (&(of, span), &table) in &cpu.walks {
            let below = cpu.roots.get(&(cpu.cr3 & !TAG)).and_then(|below| below.get(&span));
            assert!(of != tag || below == Some(&table), "table {table:#x} of span {span} under tag {tag} is stale");
        }
        assert!(cpu.global.values().all(|&page| page == (CORE_FRAME, true)));
    }

    fn step(&mut self, (kind, slot, page, frame): (u8, usize, u64, u64)) {
        match (kind, self.spaces[slot]) {
            (0, None) => self.create(slot),
            (0, Some(root)) if frame == 0 => self.destroy(slot, root),
            (1, Some(root)) => self.switch(root),
            (2, Some(root)) => self.map(root, page, (frame, frame % 2 == 0)),
            (3, Some(root)) => self.unmap(root, page, (frame + 1).min(PAGES - page)),
            (4, Some(root)) => {
                // A right is narrowed.
                self.unmap(root, page, 1);
                self.map(root, page, (frame, false));
            }
            (5.., _) => {
                let expect = if page == 0 { Some((CORE_FRAME, true)) } else { self.cpu.truth(page) };
                let at = if page == 0 { CORE } else { page };
                assert_eq!(self.cpu.access(at), expect, "page {at} with {:x?} loaded", self.loaded);
            }
            _ => {}
        }
        self.check();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    #[cfg_attr(miri, ignore = "no unsafe code takes part")]
    fn no_access_uses_what_is_out_of_date(
        tags: bool,
        steps in proptest::collection::vec((0u8..9, 0..SLOTS, 0..PAGES, 0u64..4), 1..400),
    ) {
        let mut world = World::new(tags);
        steps.into_iter().for_each(|step| world.step(step));
    }
}

#[test]
fn a_switch_between_tagged_spaces_forgets_nothing() {
    let mut world = World::new(true);
    for slot in [0, 1] {
        world.create(slot);
        world.map(world.spaces[slot].unwrap(), 1, (slot as u64, true));
    }
    let both = [0, 1].map(|slot| world.spaces[slot].unwrap());
    let before = world.cpu.flushes;
    for round in 0..10 {
        world.switch(both[round % 2]);
        assert_eq!(world.cpu.access(1), Some((round as u64 % 2, true)));
    }
    assert_eq!(world.cpu.flushes, before);
    assert_eq!(world.cpu.cached.len(), 2, "one translation for each space, both still there");
}

#[test]
#[cfg_attr(miri, ignore = "no unsafe code takes part")]
fn a_root_is_its_table_and_a_tag_of_its_own() {
    let table = Phys(0xf_ffff_f000);
    let tags: BTreeSet<u64> = (1..=0xfff).map(|slot| Root::tagged(table, slot).0 & TAG).collect();
    assert_eq!(tags.len(), 0xfff, "no two spaces share one");
    assert_eq!(Root::tagged(table, 5).0, 0x8000_000f_ffff_f005);
    assert_eq!(Root::tagged(table, 5).table(), table);
    for beyond in [0, 0x1000, 0x1001, u32::MAX] {
        assert_eq!(Root::tagged(table, beyond), Root::untagged(table), "slot {beyond}");
    }
}
