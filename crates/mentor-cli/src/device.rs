//! `--device`: where tensors are computed.
//!
//! The CPU is always there. Others are compiled in by a cargo feature of the same name, and
//! each is tried with a tiny computation before anything is read or written, because
//! the engine panics when a device is not there.

use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;

use burn::tensor::{Device, Tensor};
use mentor_train::Execution;

use crate::terminal::error::Failure;

/// A kind of device that mentor knows, compiled in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpu,
    Wgpu,
    Vulkan,
    Cuda,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        }
    }
}

/// What `--device` names: `cpu`, `wgpu`, `wgpu:1`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceChoice {
    kind: Kind,
    index: Option<usize>,
}

/// A device that answered.
pub(crate) struct OpenDevice {
    /// Where tensors are made.
    pub(crate) device: Device,
    /// What goes into `summary.json`, such as `cpu` or `wgpu:0`.
    pub(crate) name: String,
}

impl OpenDevice {
    /// Work on it, which the summary says was done on the device of this name.
    pub(crate) fn execution<'a>(&self) -> Execution<'a> {
        Execution::new(&self.device).with_device_name(&self.name)
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => {
                let index =
                    index.parse().map_err(|_| format!("\"{index}\" is not the number of a device"))?;
                (name, Some(index))
            }
            None => (text, None),
        };
        let kinds = [Kind::Cpu, Kind::Wgpu, Kind::Vulkan, Kind::Cuda];
        let kind = kinds
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| "the devices are cpu, wgpu[:i], vulkan[:i] and cuda[:i]".to_owned())?;
        if kind == Kind::Cpu && index.is_some() {
            return Err("there is one cpu; it takes no number".to_owned());
        }
        Ok(Self { kind, index })
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.name())?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

impl DeviceChoice {
    /// Opens the device and computes a sum on it.
    ///
    /// # Errors
    ///
    /// One line: the device is not compiled in, is not there, or does not compute.
    pub(crate) fn open(&self) -> Result<OpenDevice, Failure> {
        let device = match self.kind {
            Kind::Cpu => probe(Device::flex),
            #[cfg(feature = "wgpu")]
            Kind::Wgpu => probe(|| wgpu::select(burn::tensor::DeviceType::Wgpu, self.index, Device::wgpu)),
            #[cfg(feature = "vulkan")]
            Kind::Vulkan => {
                probe(|| wgpu::select(burn::tensor::DeviceType::Vulkan, self.index, Device::vulkan))
            }
            #[cfg(feature = "cuda")]
            Kind::Cuda => probe(|| Device::cuda(self.index.unwrap_or(0))),
            #[allow(unreachable_patterns, reason = "reachable unless all device features are on")]
            kind => {
                let name = kind.name();
                let message = format!("--device {self}: this mentor was built without {name}");
                let help =
                    format!("build it with `cargo build --release --features {name}`, or use --device cpu");
                return Err(Failure::usage(anyhow::anyhow!(message)).help(help));
            }
        };
        let device = device.map_err(|reason| {
            let message = format!("--device {self}: no such device answers ({reason})");
            Failure::usage(anyhow::anyhow!(message))
                .help("check the driver and the number after the colon, or use --device cpu")
        })?;
        Ok(OpenDevice { device, name: self.to_string() })
    }
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use burn::tensor::{Device, DeviceKind, DeviceType};

    /// Number `index` of the devices of a graphics interface, or the one that it prefers.
    pub(super) fn select(
        interface: DeviceType,
        index: Option<usize>,
        preferred: fn(DeviceKind) -> Device,
    ) -> Device {
        let Some(index) = index else { return preferred(DeviceKind::DefaultDevice) };
        let devices: Vec<Device> = Device::enumerate(interface).into_iter().collect();
        let count = devices.len();
        // Caught by the probe, whose caller shows the text.
        devices.into_iter().nth(index).unwrap_or_else(|| panic!("there are {count} devices, counted from 0"))
    }
}

/// Opens a device and adds three numbers on it; a panic on the way becomes the first line of its message.
fn probe(open: impl FnOnce() -> Device) -> Result<Device, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let answer = panic::catch_unwind(AssertUnwindSafe(|| {
        let device = open();
        let sum = Tensor::<1>::from_floats([1.0, 2.0, 4.0], &device).sum().into_scalar::<f32>();
        (device, sum)
    }));
    panic::set_hook(hook);
    match answer {
        Ok((device, 7.0)) => Ok(device),
        Ok((_, sum)) => Err(format!("it computes 1 + 2 + 4 = {sum}")),
        Err(payload) => {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("it stopped without a message");
            Err(text.lines().next().unwrap_or_default().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_back() {
        for name in ["cpu", "wgpu", "vulkan:1", "cuda:0"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cpu:0", "wgpu:", "cuda:-1", ""] {
            assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_cpu_computes() {
        assert_eq!("cpu".parse::<DeviceChoice>().unwrap().open().unwrap().name, "cpu");
    }

    #[test]
    fn a_device_that_panics_is_one_line() {
        let reason = probe(|| panic!("No possible adapter available.\nRequested: …")).unwrap_err();
        assert_eq!(reason, "No possible adapter available.");
    }
}
