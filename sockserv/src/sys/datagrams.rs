//! Batches of datagrams with the address that each came to, and replies that leave from a chosen address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::{fmt, io, mem, ptr, slice};

use socket2::{SockAddr, SockAddrStorage};

/// The size of a cache line on the processors of today.
const LINE: usize = 64;

/// Room for one `IP_PKTINFO` or `IPV6_PKTINFO` message, aligned as control messages must be.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

/// The local address of a datagram, as control messages carry it: ip(7), ipv6(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    ip: IpAddr,
    /// Zero unless the address means something on one interface only.
    interface: u32,
}

impl Source {
    /// The address with a port.
    pub(crate) fn on_port(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.interface).into(),
        }
    }
}

impl From<SocketAddr> for Source {
    fn from(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            interface: match address {
                SocketAddr::V4(_) => 0,
                SocketAddr::V6(v6) => v6.scope_id(),
            },
        }
    }
}

/// What may come along with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// The address that it was sent to.
    Source,
    /// Nothing: with room for more, the descriptors that a Unix peer may attach would become this process's. unix(7)
    Nothing,
}

impl Along {
    /// Lengths and flags are cast where they are used: musl and glibc have other integers for them.
    const fn room(self) -> usize {
        match self {
            Self::Source => size_of::<Control>(),
            Self::Nothing => 0,
        }
    }
}

/// One datagram, as the kernel put it into a [`Batch`].
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) is_truncated: bool,
    header: &'a libc::msghdr,
    name: &'a SockAddrStorage,
    control: &'a Control,
}

impl Received<'_> {
    /// The sender's address, if it is one of the Internet.
    #[inline]
    pub(crate) fn inet(&self) -> Option<SocketAddr> {
        let name = ptr::from_ref(self.name);
        // SAFETY: every address begins with its family, and the batch's memory was zero before the kernel wrote to it.
        match i32::from(unsafe { *name.cast::<libc::sa_family_t>() }) {
            libc::AF_INET => {
                // SAFETY: that family's addresses have this form, and the storage is as large and as aligned as any.
                let name = unsafe { &*name.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: likewise.
                let name = unsafe { &*name.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                let port = u16::from_be(name.sin6_port);
                let (flow, scope) = (name.sin6_flowinfo, name.sin6_scope_id);
                Some(SocketAddrV6::new(ip, port, flow, scope).into())
            }
            _ => None,
        }
    }

    /// The sender's address, of whatever kind.
    pub(crate) fn peer(&self) -> SockAddr {
        peer(self.name, self.header.msg_namelen)
    }

    /// The address it was sent to, if the socket was asked to tell.
    #[inline]
    pub(crate) fn source(&self) -> Option<Source> {
        source(self.control, self.header.msg_controllen as _)
    }
}

/// Buffers for `recvmmsg`: up to `count` datagrams of up to `size` bytes in one system call.
///
/// Each begins in another line of the cache than the one before: buffers 64 KiB apart would fight for the same ones. The
/// kernel lends the pages behind the first only when a long packet first fills them.
///
/// These are vectors, because `headers` points into the others: a box would promise that nobody else does.
pub(crate) struct Batch {
    headers: Vec<libc::mmsghdr>,
    names: Vec<SockAddrStorage>,
    controls: Vec<Control>,
    _iovecs: Vec<libc::iovec>,
    buffers: Vec<u8>,
    /// How many bytes of a packet are taken.
    size: usize,
    /// How far the buffers lie apart.
    stride: usize,
    along: Along,
    used: usize,
    /// The next of those to be handed out.
    next: usize,
    /// Whether the last receive emptied the socket's queue.
    are_last: bool,
}

// SAFETY: the raw pointers in `headers` and `_iovecs` point into the batch's own vectors, which never grow.
unsafe impl Send for Batch {}

impl Batch {
    pub(crate) fn new(count: usize, size: usize, along: Along) -> Self {
        let mut names: Vec<_> = (0..count).map(|_| SockAddrStorage::zeroed()).collect();
        let mut controls = vec![Control([0; 64]); count];
        let stride = size.next_multiple_of(LINE) + LINE;
        let mut buffers = vec![0_u8; count * stride];
        let mut iovecs: Vec<_> = (0..count)
            .map(|i| libc::iovec {
                iov_base: buffers.as_mut_ptr().wrapping_add(i * stride).cast(),
                iov_len: size,
            })
            .collect();
        let headers = (0..count)
            .map(|i| {
                let name = names.as_mut_ptr().wrapping_add(i);
                let iovec = iovecs.as_mut_ptr().wrapping_add(i);
                let control = controls.as_mut_ptr().wrapping_add(i);
                header(name, iovec, control, along)
            })
            .collect();
        Self {
            headers,
            names,
            controls,
            _iovecs: iovecs,
            buffers,
            size,
            stride,
            along,
            used: 0,
            next: 0,
            are_last: false,
        }
    }

    /// Returns the next datagram that has arrived, without waiting. If none is left, takes up to `max` of them at once.
    pub(crate) fn next(&mut self, socket: impl AsFd, max: usize) -> io::Result<Received<'_>> {
        if self.next == self.used && !mem::take(&mut self.are_last) {
            self.receive(socket, max)?;
        }
        if self.next == self.used {
            return Err(io::ErrorKind::WouldBlock.into()); // Spares the call that would find that out.
        }
        self.next += 1;
        Ok(self.get(self.next - 1))
    }

    fn receive(&mut self, socket: impl AsFd, max: usize) -> io::Result<()> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = name_size();
            header.msg_hdr.msg_controllen = self.along.room() as _;
        }
        (self.used, self.next) = (0, 0);
        let max = max.min(self.headers.len());
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the first `max` headers point to buffers of the stated sizes that live as long as `self`.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                max as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        self.used = count.unsigned_abs() as usize;
        self.are_last = self.used < max;
        Ok(())
    }

    #[inline]
    fn get(&self, index: usize) -> Received<'_> {
        let libc::mmsghdr { msg_hdr, msg_len } = &self.headers[index];
        let start = index * self.stride;
        let length = (*msg_len as usize).min(self.size);
        Received {
            bytes: &self.buffers[start..start + length],
            is_truncated: msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            header: msg_hdr,
            name: &self.names[index],
            control: &self.controls[index],
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("count", &self.headers.len())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

const fn name_size() -> u32 {
    size_of::<SockAddrStorage>() as u32
}

fn header(
    name: *mut SockAddrStorage,
    iovec: *mut libc::iovec,
    control: *mut Control,
    along: Along,
) -> libc::mmsghdr {
    // SAFETY: all bytes zero is a valid `mmsghdr`: null pointers and zero lengths.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_name = name.cast();
    header.msg_hdr.msg_namelen = name_size();
    header.msg_hdr.msg_iov = iovec;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_control = control.cast();
    header.msg_hdr.msg_controllen = along.room() as _;
    header
}

fn peer(name: &SockAddrStorage, length: u32) -> SockAddr {
    // The kernel leaves the name of an unnamed Unix peer empty, or untouched; an empty one is of that family then.
    if (length as usize) < size_of::<libc::sa_family_t>() {
        return autobind();
    }
    // SAFETY: plain bytes, without a destructor, so a copy is as good.
    let name = unsafe { ptr::read(name) };
    // SAFETY: the kernel filled in `length` bytes of an address, of a family that says how to read it.
    unsafe { SockAddr::new(name, length) }
}

#[inline]
fn source(control: &Control, length: usize) -> Option<Source> {
    if length < size_of::<libc::cmsghdr>() {
        return None;
    }
    // SAFETY: the kernel wrote one control message of at least a header at this aligned place.
    let message = unsafe { &*control.0.as_ptr().cast::<libc::cmsghdr>() };
    // SAFETY: it only computes where the data of that message begins, inside `control`.
    let data = unsafe { libc::CMSG_DATA(message) };
    match (message.cmsg_level, message.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // SAFETY: the kernel put an `in_pktinfo` there, as level and type say; it may be unaligned.
            let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
            let ip = IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
            Some(Source { ip, interface: 0 })
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            // SAFETY: as above, an `in6_pktinfo`.
            let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
            let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            // Only a link-local address needs its interface; any other may leave by the route.
            let interface = if ip.is_unicast_link_local() {
                info.ipi6_ifindex
            } else {
                0
            };
            Some(Source {
                ip: ip.into(),
                interface,
            })
        }
        _ => None,
    }
}

/// Sends one datagram, leaving from `source`, without waiting.
pub(crate) fn send_from(
    socket: impl AsFd,
    bytes: &[u8],
    to: &SockAddr,
    source: Source,
) -> io::Result<usize> {
    let mut control = Control([0; 64]);
    let mut iovec = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all bytes zero is a valid `msghdr`.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = to.as_ptr().cast_mut().cast();
    header.msg_namelen = to.len();
    header.msg_iov = &raw mut iovec;
    header.msg_iovlen = 1;
    header.msg_controllen = write_source(&mut control, source) as _;
    header.msg_control = (&raw mut control).cast();
    // SAFETY: the header names buffers of the stated sizes that outlive the call, which only reads them.
    let sent = unsafe {
        libc::sendmsg(
            socket.as_fd().as_raw_fd(),
            &raw const header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sent.unsigned_abs())
}

/// Writes the control message that chooses the sender's address; returns its length.
fn write_source(control: &mut Control, source: Source) -> usize {
    match source.ip {
        IpAddr::V4(ip) => {
            let address = libc::in_addr {
                s_addr: u32::from_ne_bytes(ip.octets()),
            };
            let none = libc::in_addr { s_addr: 0 };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: none,
            };
            write_message(control, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
        }
        IpAddr::V6(ip) => {
            let address = libc::in6_addr {
                s6_addr: ip.octets(),
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: address,
                ipi6_ifindex: source.interface,
            };
            write_message(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
        }
    }
}

fn write_message<T: Copy>(control: &mut Control, level: i32, kind: i32, value: &T) -> usize {
    let size = size_of::<T>();
    // SAFETY: any bytes are valid for both; the lengths are those of the values. It copies plain data.
    let bytes = unsafe { slice::from_raw_parts(ptr::from_ref(value).cast::<u8>(), size) };
    // SAFETY: `Control` is aligned for a `cmsghdr`, large enough for it, and zeroed.
    let message = unsafe { &mut *control.0.as_mut_ptr().cast::<libc::cmsghdr>() };
    message.cmsg_level = level;
    message.cmsg_type = kind;
    // SAFETY: these two only compute sizes.
    message.cmsg_len = unsafe { libc::CMSG_LEN(size as u32) } as _;
    // SAFETY: as above.
    let length = unsafe { libc::CMSG_SPACE(size as u32) } as usize;
    let start = size_of::<libc::cmsghdr>();
    control.0[start..start + size].copy_from_slice(bytes);
    length
}

/// Asks the kernel to tell the address that each datagram came to.
pub(crate) fn want_source(socket: impl AsFd, is_v6: bool) -> io::Result<()> {
    let (level, option) = match is_v6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both options take an `int`, and that is what the pointer and the size describe.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The Unix address that makes the kernel choose a free abstract name: unix(7), "Autobind".
pub(crate) fn autobind() -> SockAddr {
    let mut unnamed = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_un` fits the storage, and any bytes are valid for it.
    unsafe { unnamed.view_as::<libc::sockaddr_un>() }.sun_family =
        libc::AF_UNIX as libc::sa_family_t;
    // SAFETY: the family is set, and its length is that of a family alone.
    unsafe { SockAddr::new(unnamed, size_of::<libc::sa_family_t>() as u32) }
}
