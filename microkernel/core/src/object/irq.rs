//! Interrupt handles: a device interrupt becomes a notification.

use parley_abi::Errno;

use crate::arch::vectors;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::Endpoint;

/// A global interrupt that somebody holds.
#[derive(Clone, Copy, Default)]
pub struct Irq {
    /// Handed out.
    pub taken: bool,
    /// Which of the handles to this line it is: handles to former ones are stale.
    pub generation: u32,
    /// Whom to notify.
    pub endpoint: Ref<Endpoint>,
    /// With which bits.
    pub bits: u64,
}

impl Core {
    /// Takes global interrupt `line`. EINVAL: there is none. EBUSY: taken.
    pub fn create_irq(&mut self, line: u64) -> Result<Ref<Irq>, Errno> {
        let irq = self.irqs.get_mut(line as usize).filter(|_| self.apic.has_line(line as u32)).ok_or(Errno::EINVAL)?;
        if irq.taken {
            return Err(Errno::EBUSY);
        }
        *irq = Irq { taken: true, generation: irq.generation.wrapping_add(1), ..Irq::default() };
        Ok(Ref::new(line as u32, irq.generation))
    }

    fn irq(&mut self, at: Ref<Irq>) -> Result<&mut Irq, Errno> {
        let irq = self.irqs.get_mut(at.place as usize);
        irq.filter(|irq| irq.taken && irq.generation == at.generation).ok_or(Errno::ESTALE)
    }

    /// From now on the interrupt sets `bits` on `endpoint`. ESTALE.
    pub fn bind_irq(&mut self, at: Ref<Irq>, endpoint: Ref<Endpoint>, bits: u64) -> Result<(), Errno> {
        let irq = self.irq(at)?;
        (irq.endpoint, irq.bits) = (endpoint, bits);
        self.apic.unmask(at.place, vectors::IRQ + at.place as u8);
        Ok(())
    }

    /// The driver has served the device: a level-triggered line may interrupt again. ESTALE.
    pub fn acknowledge_irq(&mut self, at: Ref<Irq>) -> Result<(), Errno> {
        self.irq(at)?;
        self.apic.unmask(at.place, vectors::IRQ + at.place as u8);
        Ok(())
    }

    /// The handle is gone: the line is masked and free.
    pub fn release_irq(&mut self, at: Ref<Irq>) {
        if let Ok(irq) = self.irq(at) {
            irq.taken = false;
            self.apic.mask(at.place);
        }
    }

    /// A device interrupt arrived.
    pub fn irq_arrived(&mut self, line: u8) {
        self.apic.acknowledge();
        if self.apic.is_level(line as u32) {
            self.apic.mask(line as u32);
        }
        let Irq { endpoint, bits, taken, .. } = self.irqs[line as usize];
        if taken {
            self.notify(endpoint, bits);
        }
    }
}
