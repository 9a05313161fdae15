//! Faults of ring 3 become requests to whoever the address space names.

use parley_abi::msg::label;
use parley_abi::{Errno, Row, exception};

use crate::arch::descriptors::clear_selectors;
use crate::arch::{fpu, vectors};
use crate::kernel::Core;
use crate::log::Level;
use crate::mem::Ref;
use crate::object::{Binding, How, Kind, Packed, State, Thread};

const NMI: u8 = 2;
const DOUBLE_FAULT: u8 = 8;
const MACHINE_CHECK: u8 = 18;

impl Core {
    /// An exception in ring 3.
    pub fn exception(&mut self, vector: u8) {
        match vector {
            vectors::NO_FPU => self.take_fpu(),
            NMI => self.log(Level::Warn, format_args!("non-maskable interrupt")),
            DOUBLE_FAULT | MACHINE_CHECK => panic!("{} in ring 3", exception::name(vector.into())),
            _ => self.raise_fault(vector),
        }
    }

    /// Sends the fault in the thread's name to the fault connection of its space.
    fn raise_fault(&mut self, vector: u8) {
        clear_selectors(); // the handler may be switched to at once, and it is another process
        let address = if vector == vectors::PAGE_FAULT { fpu::fault_address() } else { 0 };
        let space = self.current_space();
        let thread = self.thread();
        let frame = &thread.frame;
        let words = [vector as u64, frame.number, frame.rip, frame.rsp, address, frame.rbp];
        thread.request.words = words;
        let how = How { kind: Kind::Fault, first: 0, stored: true, reserved: false };
        let row = Packed::new(&Row { label: label::FAULT, ..Row::NONE });
        let connection = self.connections.get(self.spaces[space].faults);
        let target = connection.map(|connection| (connection.endpoint, connection.badge));
        let served = target.filter(|(endpoint, _)| {
            self.endpoints.get(*endpoint).is_some_and(|endpoint| endpoint.binding == Binding::Threads)
        });
        let sent = match served {
            Some(target) => {
                self.wake_mourner(target.0);
                self.send_to(target, how, row, 0).is_ok()
            }
            None => false,
        };
        if !sent {
            self.nobody_to_tell(vector, words);
        }
    }

    /// A fault that has no receiver: in init it is the end, any other thread is stopped.
    fn nobody_to_tell(&mut self, vector: u8, words: [u64; 6]) {
        let [_, error, rip, rsp, address, _] = words;
        let name = exception::name(vector.into());
        let what = format_args!("{name} (error {error:#x}) at rip {rip:#x}, address {address:#x}");
        let supervisor = self.threads.get(self.init).is_some_and(|init| init.space == self.current_space());
        if supervisor {
            panic!("init died, and nobody is left to start it or any service again: {what}, rsp {rsp:#x}");
        }
        let thread = self.current.index();
        if self.log.may_report(self.clock.now()) {
            self.log(Level::Error, format_args!("thread {thread}: {what}; stopped"));
        }
        let stopped = self.current;
        self.thread().state = State::Stopped;
        self.resched = true;
        self.release_clients(stopped);
    }

    /// Nobody will answer the requests that a stopped server holds: their callers get ESTALE.
    fn release_clients(&mut self, server: Ref<Thread>) {
        for index in 0..self.threads.capacity() {
            let Some(at) = self.threads.at(index) else { continue };
            if self.waits_for(at) == Some(server) {
                self.abandon_request(at);
                self.fail_request(at, Errno::ESTALE);
            }
        }
    }

    /// The FPU belongs to another thread: saves that one's registers and loads the current one's.
    fn take_fpu(&mut self) {
        let thread = self.current;
        if self.threads[thread].fpu.is_none() {
            let quota = self.threads[thread].quota;
            let Ok(page) = self.quotas.buy_page(quota, &mut self.frames) else {
                return self.raise_fault(vectors::NO_FPU);
            };
            fpu::initialise(page);
            self.threads[thread].fpu = Some(page);
        }
        let (locked, unlocked) = (fpu::locked(self.cr0), fpu::unlocked(self.cr0));
        self.cr0 = unlocked;
        fpu::load_cr0(unlocked);
        if let Some(owner) = self.threads.get_mut(self.fpu_owner) {
            owner.cr0 = locked;
            if let Some(page) = owner.fpu {
                fpu::save(page);
            }
        }
        self.threads[thread].cr0 = unlocked;
        fpu::restore(self.threads[thread].fpu.expect("set above"));
        self.fpu_owner = thread;
    }
}
