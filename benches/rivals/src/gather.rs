//! A stream that holds back what is written until the next read finds nothing: one write for one read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than this is not held back, and larger writes are not copied.
const HELD_BYTES_MAX: usize = 128 * 1024;

/// A stream that holds back what is written. For libraries that write each message at once.
pub struct Gathered<Stream> {
    stream: Stream,
    held: Vec<u8>,
    /// Bytes of `held` that are written already.
    written: usize,
}

impl<Stream: AsyncWrite + Unpin> Gathered<Stream> {
    /// Nothing is held back yet.
    pub fn new(stream: Stream) -> Self {
        Self { stream, held: Vec::new(), written: 0 }
    }

    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.held.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathered<Stream> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(cx, into) {
            Poll::Pending => {
                if let Poll::Ready(Err(error)) = this.poll_release(cx) {
                    return Poll::Ready(Err(error));
                }
                Poll::Pending
            }
            ready => ready,
        }
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Gathered<Stream> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if this.held.len() + bytes > HELD_BYTES_MAX {
            ready!(this.poll_release(cx))?;
        }
        if bytes > HELD_BYTES_MAX {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        }
        parts.iter().for_each(|part| this.held.extend_from_slice(part));
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
