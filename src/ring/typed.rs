//! A loan of a value of any type: as `&mut dyn Any`, and asking whether it is of some type is one comparison of addresses.
//!
//! ```
//! use corewire::ring::typed::Typed;
//!
//! let mut number = 7;
//! *Typed::new(&mut number).get::<i32>().unwrap() += 1;
//! assert!(Typed::new(&mut number).get::<u32>().is_none());
//! assert_eq!(number, 8);
//! ```
//!
//! Does not know: what is lent.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

/// A `&mut` of a type that its reader knows.
pub struct Typed<'a> {
    address: *mut (),
    kind: &'static TypeId,
    /// Neither `Send` nor `Sync`, as a raw pointer is not.
    loan: PhantomData<&'a mut ()>,
}

struct Kind<T>(PhantomData<T>);

impl<T: 'static> Kind<T> {
    const ID: TypeId = TypeId::of::<T>();
}

impl<'a> Typed<'a> {
    /// Lends `value`.
    #[inline]
    pub fn new<T: 'static>(value: &'a mut T) -> Self {
        Self { address: (&raw mut *value).cast(), kind: &Kind::<T>::ID, loan: PhantomData }
    }

    /// The value, if it is a `T`.
    #[inline]
    pub fn get<T: 'static>(self) -> Option<&'a mut T> {
        // A constant may have more than one address, so only the type decides.
        let is_one = std::ptr::eq(self.kind, &Kind::<T>::ID) || *self.kind == TypeId::of::<T>();
        // SAFETY: it is the address of a `T`, since `new` gave both; borrowed mutably for `'a` there, and handed on once, since
        // `self` is consumed.
        is_one.then(|| unsafe { &mut *self.address.cast::<T>() })
    }
}

impl fmt::Debug for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").finish_non_exhaustive()
    }
}
