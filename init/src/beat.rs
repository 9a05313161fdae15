//! Asking the services whether they are there, and ending those that are not ([`crate::watch`] has the rules).

use parley_abi::info::reason;
use parley_abi::news::HEARTBEAT_BIT;
use parley_manifest::Overrun;
use parley_proto::Host;
use parley_rt::sys;

use crate::console::Level::Warn;
use crate::manifest::Entry;
use crate::server::Init;
use crate::watch::Due;

impl Init {
    /// Asks whoever is to be asked, and kills whoever has not answered. Lowest services first.
    pub(crate) fn beat(&mut self, host: &mut dyn Host) {
        let manifest = self.manifest;
        for entry in &manifest.services {
            let now = sys::clock();
            match self.service(entry.number).watch.due(now) {
                Due::Nothing => {}
                Due::Ask => {
                    let service = self.service_mut(entry.number);
                    service.watch.asked(now, entry.heartbeat);
                    if let Some(trial) = &mut service.trial {
                        trial.must_answer(now + entry.heartbeat);
                    }
                    if let Some(endpoint) = &service.endpoint {
                        // ESTALE: it was given up.
                        let _ = sys::notify(endpoint.slot(), HEARTBEAT_BIT);
                    }
                }
                Due::Hung => self.hung(host, entry),
            }
        }
    }

    /// A service does not answer.
    fn hung(&mut self, host: &mut dyn Host, entry: &'static Entry) {
        let service = self.service(entry.number);
        let (was_ready, pid) = (service.ready, service.record.pid);
        match was_ready {
            true => self.tell(Warn, entry.number, format_args!("hangs: no heartbeat; killing it")),
            false => self.tell(Warn, entry.number, format_args!("hangs: it never said that it is ready; killing it")),
        }
        self.end_for(host, pid, reason::HUNG);
        let now = sys::clock();
        for other in &self.manifest.services {
            // Whoever waited for it could not answer either.
            if other.calls.contains(&entry.number) {
                self.service_mut(other.number).watch.excuse(now, other.heartbeat);
            }
        }
    }

    /// A service has answered. A leak is seen here, before it is felt.
    pub(crate) fn heard(&mut self, host: &mut dyn Host, number: u8) {
        let entry = self.entry(number);
        self.service_mut(number).watch.heard(sys::clock(), entry.heartbeat);
        let pid = self.service(number).record.pid;
        let Some((used, granted)) = self.pages(pid) else { return };
        if entry.overrun == Overrun::Restart && u64::from(used) * 16 >= u64::from(granted) * 15 {
            self.tell(Warn, number, format_args!("uses {used} of its {granted} pages; killing it"));
            self.end_for(host, pid, reason::OVERRUN);
        }
    }

    /// Pages that a process uses, and may use.
    pub(crate) fn pages(&self, pid: u32) -> Option<(u32, u32)> {
        sys::quota_info(self.table.handles(pid)?.quota.handle().slot()).ok()
    }

    /// Ends the process of a service that did wrong.
    fn end_for(&mut self, host: &mut dyn Host, pid: u32, reason: u32) {
        self.ended(host, pid, reason.cast_signed());
    }

    /// Tells the services that call `number` what has become of it, by this bit. They are not started again: their
    /// connections lead to its endpoint, which stays.
    pub(crate) fn tell_dependents(&self, number: u8, bit: u64) {
        for entry in self.manifest.services.iter().filter(|entry| entry.calls.contains(&number)) {
            if let Some(endpoint) = &self.service(entry.number).endpoint {
                // ESTALE: it was given up.
                let _ = sys::notify(endpoint.slot(), bit);
            }
        }
    }
}
