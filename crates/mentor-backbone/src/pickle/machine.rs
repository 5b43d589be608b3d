//! The stack machine.

use super::calls::call;
use super::globals::{Global, unsupported};
use super::opcodes as op;
use super::value::{Arena, StorageName, Value};
use crate::error::BackboneError;

/// Instructions of one pickle: a network of a thousand tensors needs some fifty thousand.
const MAX_INSTRUCTIONS: usize = 1 << 23;
/// Letters of a name.
const MAX_TEXT: usize = 1 << 16;

/// Runs one pickle from the start of `bytes`; what it leaves, and the bytes after it.
pub(crate) fn run<'a>(bytes: &'a [u8], arena: &mut Arena) -> Result<(Value, &'a [u8]), BackboneError> {
    let mut machine = Machine { rest: bytes, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), arena };
    for _ in 0..MAX_INSTRUCTIONS {
        if let Some(value) = machine.step()? {
            return Ok((value, machine.rest));
        }
    }
    Err(unsupported("more instructions than any network needs"))
}

struct Machine<'a, 'b> {
    rest: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Vec<Value>,
    arena: &'b mut Arena,
}

impl Machine<'_, '_> {
    /// One instruction; the result after the last.
    fn step(&mut self) -> Result<Option<Value>, BackboneError> {
        let [opcode] = self.bytes()?;
        match opcode {
            op::STOP => return self.pop().map(Some),
            op::PROTO => match self.bytes()? {
                [2..=5] => {}
                [version] => return Err(unsupported(format!("a pickle of protocol {version}"))),
            },
            op::FRAME => self.bytes::<8>().map(drop)?,
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => self.pop().map(drop)?,
            op::NONE => self.stack.push(Value::None),
            op::TRUE => self.stack.push(Value::Bool(true)),
            op::FALSE => self.stack.push(Value::Bool(false)),
            op::BININT => {
                let value = i32::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(value.into()));
            }
            op::BININT1 => {
                let [value] = self.bytes()?;
                self.stack.push(Value::Int(value.into()));
            }
            op::BININT2 => {
                let value = u16::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(value.into()));
            }
            op::LONG1 => self.long()?,
            op::BINFLOAT => {
                self.bytes::<8>()?;
                self.stack.push(Value::Float);
            }
            op::BINUNICODE | op::BINSTRING => {
                let len = u32::from_le_bytes(self.bytes()?);
                self.text(len as usize)?;
            }
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => {
                let [len] = self.bytes()?;
                self.text(len.into())?;
            }
            op::EMPTY_TUPLE => self.tuple(self.stack.len())?,
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let count = usize::from(opcode - op::TUPLE1) + 1;
                let start = self.stack.len().checked_sub(count).ok_or_else(short)?;
                self.tuple(start)?;
            }
            op::TUPLE => {
                let start = self.mark()?;
                self.tuple(start)?;
            }
            op::EMPTY_LIST => {
                self.arena.lists.push(Vec::new());
                self.stack.push(Value::List(self.arena.lists.len() - 1));
            }
            op::EMPTY_DICT => {
                self.arena.dicts.push(Vec::new());
                self.stack.push(Value::Dict(self.arena.dicts.len() - 1));
            }
            op::APPEND => {
                let start = self.stack.len().checked_sub(1).ok_or_else(short)?;
                self.append(start)?;
            }
            op::APPENDS => {
                let start = self.mark()?;
                self.append(start)?;
            }
            op::SETITEM => {
                let start = self.stack.len().checked_sub(2).ok_or_else(short)?;
                self.set_items(start)?;
            }
            op::SETITEMS => {
                let start = self.mark()?;
                self.set_items(start)?;
            }
            op::BINPUT => {
                let [at] = self.bytes()?;
                self.remember(at.into())?;
            }
            op::LONG_BINPUT => {
                let at = u32::from_le_bytes(self.bytes()?);
                self.remember(at as usize)?;
            }
            op::MEMOIZE => self.remember(self.memo.len())?,
            op::BINGET => {
                let [at] = self.bytes()?;
                self.recall(at.into())?;
            }
            op::LONG_BINGET => {
                let at = u32::from_le_bytes(self.bytes()?);
                self.recall(at as usize)?;
            }
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(Global::find(&module, &name)?));
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.arena.text(module), self.arena.text(name)) {
                    (Some(module), Some(name)) => self.stack.push(Value::Global(Global::find(module, name)?)),
                    _ => return Err(unsupported("a name that is no text")),
                }
            }
            op::REDUCE => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let (Value::Global(global), Value::Tuple(arguments)) = (callee, arguments) else {
                    return Err(unsupported(format!("a call of {}", callee.kind())));
                };
                let arguments = self.arena.tuples[arguments].clone();
                self.stack.push(call(global, &arguments, self.arena)?);
            }
            // Attributes of a dictionary or tensor, such as `_metadata`, are no weights.
            op::BUILD => self.pop().map(drop)?,
            op::BINPERSID => self.storage()?,
            unknown => return Err(unsupported(format!("the instruction {unknown:#04x}"))),
        }
        Ok(None)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], BackboneError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The bytes up to the end of a line.
    fn line(&mut self) -> Result<String, BackboneError> {
        let end = self.rest.iter().take(MAX_TEXT).position(|&byte| byte == b'\n').ok_or_else(short)?;
        let line = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }

    fn text(&mut self, len: usize) -> Result<(), BackboneError> {
        if len > MAX_TEXT {
            return Err(unsupported(format!("a text of {len} bytes")));
        }
        let (text, rest) = self.rest.split_at_checked(len).ok_or_else(short)?;
        self.rest = rest;
        self.arena.texts.push(String::from_utf8_lossy(text).into_owned());
        self.stack.push(Value::Text(self.arena.texts.len() - 1));
        Ok(())
    }

    /// A whole number of any length, of which eight bytes are enough; the mark of a file has ten.
    fn long(&mut self) -> Result<(), BackboneError> {
        let [len] = self.bytes()?;
        let (digits, rest) = self.rest.split_at_checked(len.into()).ok_or_else(short)?;
        self.rest = rest;
        let is_negative = digits.last().is_some_and(|&last| last >= 0x80);
        let mut bytes = [if is_negative { 0xff } else { 0 }; 8];
        let kept = digits.len().min(8);
        bytes[..kept].copy_from_slice(&digits[..kept]);
        self.stack.push(Value::Int(i64::from_le_bytes(bytes)));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, BackboneError> {
        self.stack.pop().ok_or_else(short)
    }

    fn mark(&mut self) -> Result<usize, BackboneError> {
        self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or_else(short)
    }

    fn tuple(&mut self, start: usize) -> Result<(), BackboneError> {
        let items = self.stack.split_off(start);
        self.arena.tuples.push(items);
        self.stack.push(Value::Tuple(self.arena.tuples.len() - 1));
        Ok(())
    }

    fn append(&mut self, start: usize) -> Result<(), BackboneError> {
        let items = self.stack.split_off(start);
        match self.stack.last() {
            Some(Value::List(at)) => self.arena.lists[*at].extend(items),
            _ => return Err(unsupported("an item of something that is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, start: usize) -> Result<(), BackboneError> {
        let items = self.stack.split_off(start);
        let (pairs, rest) = items.as_chunks::<2>();
        match (self.stack.last(), rest) {
            (Some(Value::Dict(at)), []) => {
                self.arena.dicts[*at].extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err(unsupported("an entry of something that is no dictionary")),
        }
        Ok(())
    }

    fn remember(&mut self, at: usize) -> Result<(), BackboneError> {
        let value = *self.stack.last().ok_or_else(short)?;
        match at.cmp(&self.memo.len()) {
            std::cmp::Ordering::Less => self.memo[at] = value,
            std::cmp::Ordering::Equal => self.memo.push(value),
            // Picklers number in turn; protocol 2 of Python 2 begins with 1.
            std::cmp::Ordering::Greater if at <= self.memo.len() + 1 => {
                self.memo.resize(at, Value::None);
                self.memo.push(value);
            }
            std::cmp::Ordering::Greater => return Err(unsupported("a memo with gaps")),
        }
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<(), BackboneError> {
        let value = *self.memo.get(at).ok_or_else(|| unsupported("a value that was not remembered"))?;
        self.stack.push(value);
        Ok(())
    }

    /// `('storage', type, key, location, number of values, …)`.
    fn storage(&mut self) -> Result<(), BackboneError> {
        let name = self.pop()?;
        let name = match self.arena.items(name) {
            Some([kind, Value::Global(Global::Storage(scalar)), key, _, Value::Int(len), view @ ..])
                if self.arena.text(*kind) == Some("storage") && matches!(view, [] | [Value::None]) =>
            {
                self.arena.text(*key).zip(usize::try_from(*len).ok()).map(|(key, len)| StorageName {
                    key: key.to_owned(),
                    scalar: *scalar,
                    len,
                })
            }
            _ => None,
        };
        self.arena.storages.push(name.ok_or_else(|| unsupported("a storage that is named in another way"))?);
        self.stack.push(Value::Storage(self.arena.storages.len() - 1));
        Ok(())
    }
}

fn short() -> BackboneError {
    BackboneError::Damaged { reason: "its pickle ends early or takes what is not there".to_owned() }
}
