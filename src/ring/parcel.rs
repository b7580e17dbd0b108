//! A message of any type in an envelope of one size, so that one lane carries them all.
//!
//! Up to 64 bytes (and an alignment of 16) travel inside; larger messages are boxed, and 8 bytes travel.
//!
//! ```
//! use corewire::ring::parcel::Parcel;
//!
//! let parcel = Parcel::new(String::from("hi"));
//! assert!(parcel.is::<String>());
//! assert_eq!(parcel.peek::<String>().map(String::len), Some(2));
//! let parcel = parcel.downcast::<u32>().unwrap_err(); // not a number; the parcel comes back
//! assert_eq!(parcel.downcast::<String>().unwrap(), "hi");
//!
//! let mut parcel = Parcel::new([7; 4]);
//! assert_eq!(parcel.take::<[i32; 4]>(), Some([7; 4])); // out of where it lies; the rest is not moved
//! assert_eq!(parcel.take::<[i32; 4]>(), None);
//!
//! parcel.fill("hi"); // and into where it is to lie
//! assert_eq!(parcel.take::<&str>(), Some("hi"));
//! ```

use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};

/// A message whose type is known to its reader. 80 bytes.
///
/// Only what may change threads gets in:
/// ```compile_fail,E0277
/// corewire::ring::parcel::Parcel::new(std::rc::Rc::new(1));
/// ```
pub struct Parcel {
    contents: Contents,
    kind: &'static Kind,
    /// Its keeper's, where there would be nothing.
    label: u32,
    /// `Send`, because [`Parcel::new`] asks for it; not `Sync`, because it does not ask for that.
    _not_sync: PhantomData<Cell<()>>,
}

impl Parcel {
    /// Wraps `message`; allocates only if it is larger than 64 bytes.
    #[inline]
    pub fn new<M: Send + 'static>(message: M) -> Self {
        if const { fits::<M>() } {
            // SAFETY: an `M` fits.
            unsafe { Self::hold(message, &Wrapped::<M>::INLINE) }
        } else {
            // SAFETY: a box fits whatever it holds (asserted below).
            unsafe { Self::hold(Box::new(message), &Wrapped::<M>::BOXED) }
        }
    }

    /// With `()` in it.
    pub const fn empty() -> Self {
        Self { contents: Contents(MaybeUninit::uninit()), kind: &NOTHING, label: 0, _not_sync: PhantomData }
    }

    /// Puts another message in, written where it is to lie. What was in there is dropped.
    #[inline]
    pub fn fill<M: Send + 'static>(&mut self, message: M) {
        if !std::ptr::eq(self.kind, &NOTHING) {
            self.clear();
        }
        let address = self.contents.address_mut();
        // Nothing is dropped by writing over it: it was `()`, or is now.
        if const { fits::<M>() } {
            // SAFETY: an `M` fits, and the place is ours.
            unsafe { address.cast::<M>().write(message) };
            self.kind = &Wrapped::<M>::INLINE;
        } else {
            let boxed = Box::new(message);
            // SAFETY: a box fits whatever it holds (asserted below), and the place is ours.
            unsafe { address.cast::<Box<M>>().write(boxed) };
            self.kind = &Wrapped::<M>::BOXED;
        }
    }

    /// Drops what is in there. What is left holds `()`.
    #[cold]
    #[inline(never)]
    fn clear(&mut self) {
        let before = std::mem::replace(self, Self::empty());
        self.label = before.label;
        drop(before); // which may panic
    }

    /// What its keeper has written on it, 0 to begin with. It says nothing of the message, and filling or emptying the
    /// parcel leaves it as it is.
    #[inline]
    pub fn label(&self) -> u32 {
        self.label
    }

    /// Writes on it.
    #[inline]
    pub fn set_label(&mut self, label: u32) {
        self.label = label;
    }

    /// The message, if it is an `M`.
    ///
    /// # Errors
    /// The parcel comes back whole if it holds something else.
    #[inline]
    pub fn downcast<M: 'static>(self) -> Result<M, Self> {
        if !self.is::<M>() {
            return Err(self);
        }
        let parcel = ManuallyDrop::new(self);
        if const { fits::<M>() } {
            // SAFETY: `new` put an `M` there: the type is `M`, and what fits is never boxed. It is read once,
            // since the parcel is consumed here and, being `ManuallyDrop`, does not drop it.
            Ok(unsafe { parcel.contents.address().cast::<M>().read() })
        } else {
            // SAFETY: as above, with the `Box<M>` that `new` put there instead.
            Ok(*unsafe { parcel.contents.address().cast::<Box<M>>().read() })
        }
    }

    /// Takes the message out of the parcel, if it is an `M`. What is left holds `()`.
    #[inline]
    pub fn take<M: 'static>(&mut self) -> Option<M> {
        if !self.is::<M>() {
            return None;
        }
        // Before the message is read: whatever happens then, it is not dropped here as well. A `()` is everywhere.
        self.kind = &NOTHING;
        let address = self.contents.address();
        Some(if const { fits::<M>() } {
            // SAFETY: `new` put an `M` there: the type was `M`, and what fits is never boxed. It is read once, since the
            // parcel is of another type now.
            unsafe { address.cast::<M>().read() }
        } else {
            // SAFETY: as above, with the `Box<M>` that `new` put there instead.
            *unsafe { address.cast::<Box<M>>().read() }
        })
    }

    /// True if the message is an `M`.
    #[inline]
    pub fn is<M: 'static>(&self) -> bool {
        let usual = if const { fits::<M>() } { &Wrapped::<M>::INLINE } else { &Wrapped::<M>::BOXED };
        // A constant may have more than one address, so only the type decides.
        std::ptr::eq(self.kind, usual) || self.kind.type_id == const { TypeId::of::<M>() }
    }

    /// The message, if it is an `M`, to look at.
    #[inline]
    pub fn peek<M: 'static>(&self) -> Option<&M> {
        if !self.is::<M>() {
            return None;
        }
        let address = self.contents.address();
        if const { fits::<M>() } {
            // SAFETY: `new` put an `M` there: the type is `M`, and what fits is never boxed. It stays while `self` is
            // borrowed, and nobody changes it: whoever takes it out or drops it needs `self` whole.
            Some(unsafe { &*address.cast::<M>() })
        } else {
            // SAFETY: as above, with the `Box<M>` that `new` put there instead.
            Some(unsafe { &*address.cast::<Box<M>>() })
        }
    }

    /// The message's type.
    pub fn message_type(&self) -> TypeId {
        self.kind.type_id
    }

    /// The name of the message's type, for logs.
    pub fn type_name(&self) -> &'static str {
        (self.kind.type_name)()
    }

    /// # Safety
    /// A `C` fits, and `kind` is of it.
    unsafe fn hold<C>(contents: C, kind: &'static Kind) -> Self {
        let place = Contents(MaybeUninit::uninit());
        let mut parcel = Self { contents: place, kind, label: 0, _not_sync: PhantomData };
        // SAFETY: `C` is no larger and no more aligned than `Contents` (the caller's promise), which is ours.
        unsafe { parcel.contents.address_mut().cast::<C>().write(contents) };
        parcel
    }
}

impl Drop for Parcel {
    #[inline]
    fn drop(&mut self) {
        if std::ptr::eq(self.kind, &NOTHING) {
            return;
        }
        // SAFETY: `kind` belongs to what `new` put there, or `take` left; `downcast` takes it out only past a
        // `ManuallyDrop`, so it is there, and this is its only drop.
        unsafe { (self.kind.drop)(self.contents.address_mut()) }
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parcel").field(&self.type_name()).finish()
    }
}

/// Uninitialised bytes keep whatever a message holds, pointers and padding included.
#[repr(C, align(16))]
struct Contents(MaybeUninit<[u8; INLINE_BYTES]>);

impl Contents {
    fn address(&self) -> *const u8 {
        (&raw const self.0).cast()
    }

    fn address_mut(&mut self) -> *mut u8 {
        (&raw mut self.0).cast()
    }
}

/// What is known about a message when its type is not: a hand-made vtable.
struct Kind {
    type_id: TypeId,
    type_name: fn() -> &'static str,
    /// Takes the address of the contents: a message, or the box that holds it.
    drop: unsafe fn(*mut u8),
}

/// Of a parcel that is empty.
static NOTHING: Kind = Wrapped::<()>::INLINE;

struct Wrapped<M>(PhantomData<M>);

impl<M: 'static> Wrapped<M> {
    const INLINE: Kind = Kind { type_id: TypeId::of::<M>(), type_name: type_name::<M>, drop: drop_at::<M> };
    const BOXED: Kind =
        Kind { type_id: TypeId::of::<M>(), type_name: type_name::<M>, drop: drop_at::<Box<M>> };
}

/// # Safety
/// A `C` is at `address`, and nobody uses it again.
unsafe fn drop_at<C>(address: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { address.cast::<C>().drop_in_place() }
}

const fn fits<C>() -> bool {
    size_of::<C>() <= INLINE_BYTES && align_of::<C>() <= align_of::<Contents>()
}

const INLINE_BYTES: usize = 64;

const _: () = {
    assert!(size_of::<Parcel>() == 80);
    assert!(fits::<Box<u8>>()); // what does not fit is boxed, and the box does
};
