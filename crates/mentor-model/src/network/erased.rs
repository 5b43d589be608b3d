//! Any network behind a pointer. Burn's visitors and mappers are generic, and so no trait objects: here each
//! rank that a parameter may have is tried in turn.

use std::any::Any;
use std::fmt;

use burn::module::{Devices, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use super::{Network, Output};
use crate::Pass;

/// A [`Network`] whose type is not known: the methods of Burn's `Module`, and the forward pass.
pub(crate) trait ErasedNetwork: fmt::Debug + Send + Sync {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output;
    fn snapshot(&self) -> Box<dyn ErasedNetwork>;
    fn collect_devices(&self, devices: Devices) -> Devices;
    fn fork(self: Box<Self>, device: &Device) -> Box<dyn ErasedNetwork>;
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn ErasedNetwork>;
    fn train(self: Box<Self>) -> Box<dyn ErasedNetwork>;
    fn valid(&self) -> Box<dyn ErasedNetwork>;
    fn materialize(self: Box<Self>) -> Box<dyn ErasedNetwork>;
    fn visit(&self, visitor: &mut dyn ErasedVisitor);
    fn map(self: Box<Self>, mapper: &mut dyn ErasedMapper) -> Box<dyn ErasedNetwork>;
}

impl<N: Network> ErasedNetwork for N {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        Network::forward(self, images, pass)
    }

    fn snapshot(&self) -> Box<dyn ErasedNetwork> {
        Box::new(self.clone())
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        N::collect_devices(self, devices)
    }

    fn fork(self: Box<Self>, device: &Device) -> Box<dyn ErasedNetwork> {
        Box::new(N::fork(*self, device))
    }

    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn ErasedNetwork> {
        Box::new(N::to_device(*self, device))
    }

    fn train(self: Box<Self>) -> Box<dyn ErasedNetwork> {
        Box::new(N::train(*self))
    }

    fn valid(&self) -> Box<dyn ErasedNetwork> {
        Box::new(N::valid(self))
    }

    fn materialize(self: Box<Self>) -> Box<dyn ErasedNetwork> {
        Box::new(N::materialize(*self))
    }

    fn visit(&self, visitor: &mut dyn ErasedVisitor) {
        N::visit(self, &mut Visitor(visitor));
    }

    fn map(self: Box<Self>, mapper: &mut dyn ErasedMapper) -> Box<dyn ErasedNetwork> {
        Box::new(N::map(*self, &mut Mapper(mapper)))
    }
}

/// A visitor of parameters whose type is not known. Flags and tensors of integers are no parameters of a
/// model.
pub(crate) trait ErasedVisitor {
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
    /// Of a `Param<Tensor<D>>` of whatever rank D.
    fn float(&mut self, param: &dyn Any);
}

/// As [`ErasedVisitor`], of a mapper.
pub(crate) trait ErasedMapper {
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
    /// From and to a `Param<Tensor<D>>` of whatever rank D.
    fn float(&mut self, param: Box<dyn Any>) -> Box<dyn Any>;
}

/// Does the same for every rank that a parameter may have, until one fits.
macro_rules! of_any_rank {
    ($try:ident) => {
        $try!(1, 2, 3, 4, 5, 6)
    };
}

impl<V: ModuleVisitor> ErasedVisitor for V {
    fn enter(&mut self, name: &str, container: &str) {
        self.enter_module(name, container);
    }

    fn exit(&mut self, name: &str, container: &str) {
        self.exit_module(name, container);
    }

    fn float(&mut self, param: &dyn Any) {
        macro_rules! visit {
            ($($rank:literal),*) => {
                $(if let Some(param) = param.downcast_ref::<Param<Tensor<$rank>>>() {
                    return self.visit_float(param);
                })*
            };
        }
        of_any_rank!(visit);
        unreachable!("a parameter of more than six axes");
    }
}

impl<M: ModuleMapper> ErasedMapper for M {
    fn enter(&mut self, name: &str, container: &str) {
        self.enter_module(name, container);
    }

    fn exit(&mut self, name: &str, container: &str) {
        self.exit_module(name, container);
    }

    fn float(&mut self, mut param: Box<dyn Any>) -> Box<dyn Any> {
        macro_rules! map {
            ($($rank:literal),*) => {
                $(param = match param.downcast::<Param<Tensor<$rank>>>() {
                    Ok(param) => return Box::new(self.map_float(*param)),
                    Err(other) => other,
                };)*
            };
        }
        of_any_rank!(map);
        unreachable!("a parameter of more than six axes: {param:?}");
    }
}

/// What the network itself sees of an erased visitor.
struct Visitor<'a>(&'a mut dyn ErasedVisitor);

impl ModuleVisitor for Visitor<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.float(param);
    }
}

struct Mapper<'a>(&'a mut dyn ErasedMapper);

impl ModuleMapper for Mapper<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let mapped = self.0.float(Box::new(param));
        *mapped.downcast().expect("a mapper gives a parameter of the rank that it took")
    }
}
