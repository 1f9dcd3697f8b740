//! The forwarder as Python's thread sees it: opens, starts, stops, sends single things. The forwarding tables change themselves.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use treecast_core::datagram::{KIND_CONTROL, KIND_HANDSHAKE, KIND_PATH_CHALLENGE, MAX_CONTROL_LEN};
use treecast_core::events::Event;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::path::Endpoint;
use treecast_core::port::TAP_PORT;
use treecast_core::reason::Reason;
use treecast_core::session::Session;

use crate::configuration::{Configuration, OpenError};
use crate::flooding::Flooding;
use crate::local_ports::LocalPorts;
use crate::packet_port::PacketPorts;
use crate::socket_group::SocketGroup;
use crate::sys::poll::EventFd;
use crate::sys::tap::Tap;
use crate::sys::thread::{monotonic_ns, set_slice};
use crate::underlay::{Underlay, UnderlayMtu};
use crate::worker::{Worker, WorkerShare};
use crate::worker_liveness::WorkerLiveness;

/// Slice of the thread that decides: longer than any system's usual ones, so that what moves packets need not await its turn's end.
const CONTROL_SLICE_NS: u64 = 10_000_000;

/// The forwarder as Python's thread sees it.
#[derive(Debug)]
pub struct Forwarder {
    /// The tables.
    pub tables: Arc<ForwardingTables>,
    interface: String,
    listening: Vec<SocketAddr>,
    workers: usize,
    probe_interval_ns: u64,
    events: Arc<EventFd>,
    stop: EventFd,
    flooding: Flooding,
    running: Mutex<Running>,
}

/// The things that are open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) underlay: Arc<Underlay>,
    local: Arc<LocalPorts>,
}

#[derive(Debug)]
struct Running {
    /// None when stopped.
    open: Option<Open>,
    workers: Vec<(JoinHandle<()>, Arc<WorkerLiveness>)>,
}

impl Forwarder {
    /// Opens the TAP and binds the sockets.
    pub fn open(configuration: &Configuration) -> Result<Self, OpenError> {
        let Configuration { interface, mac, mtu, take, listen, .. } = configuration;
        let workers = configuration.worker_count();
        Self::over(configuration, workers, || {
            let tap = Tap::open(interface, *mac, *mtu, workers, *take).map_err(OpenError::at(interface))?;
            let bind =
                |address: &SocketAddr| SocketGroup::bind(address, workers).map_err(OpenError::at(&address.to_string()));
            let sockets = listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
            let listening = sockets.iter().map(SocketGroup::local).collect();
            Ok((tap, sockets, listening))
        })
    }

    /// A forwarder without a TAP, sockets and workers: it carries out all commands, and counts what it can send nowhere.
    pub fn detached(configuration: &Configuration) -> Result<Self, OpenError> {
        Self::over(configuration, 0, || Ok((Tap::none(), Vec::new(), configuration.listen.clone())))
    }

    fn over(
        configuration: &Configuration,
        workers: usize,
        open: impl FnOnce() -> Result<(Tap, Vec<SocketGroup>, Vec<SocketAddr>), OpenError>,
    ) -> Result<Self, OpenError> {
        let Configuration { node_index, network, underlay_mtu, .. } = configuration;
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let underlay_mtu =
            UnderlayMtu::new(*underlay_mtu).ok_or_else(invalid).map_err(OpenError::at("underlay_mtu"))?;
        let events = Arc::new(EventFd::new().map_err(OpenError::at("eventfd"))?);
        let stop = EventFd::new().map_err(OpenError::at("eventfd"))?;
        let (tap, sockets, listening) = open()?;
        let local = LocalPorts { tap, packets: PacketPorts::default() };
        let (wake, signing_key) = (events.clone(), configuration.signing_key.clone());
        let tables =
            Arc::new(ForwardingTables::new(*node_index, network, signing_key, Box::new(move || wake.signal())));
        Ok(Self {
            tables,
            interface: configuration.interface.clone(),
            listening,
            workers,
            probe_interval_ns: configuration.probe_interval_ns.max(1_000_000),
            events,
            stop,
            flooding: Flooding::default(),
            running: Mutex::new(Running {
                open: Some(Open {
                    underlay: Arc::new(Underlay { sockets, mtu: underlay_mtu }),
                    local: Arc::new(local),
                }),
                workers: Vec::new(),
            }),
        })
    }

    /// Starts the workers, once. They may interrupt the calling thread from now on.
    pub fn start(&self) -> io::Result<()> {
        let mut running = self.running();
        let Some(Open { underlay, local }) = running.open.clone() else {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        };
        if !running.workers.is_empty() {
            return Ok(());
        }
        let share = |number| WorkerShare { number, of: self.workers };
        let livenesses =
            (0..self.workers).map(|_| WorkerLiveness::new().map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
        let make = |(number, liveness): (usize, &Arc<WorkerLiveness>)| {
            let both = [liveness.clone(), livenesses.first().unwrap_or(liveness).clone()];
            let (tables, underlay, local) = (self.tables.clone(), underlay.clone(), local.clone());
            let worker = Worker::new(tables, underlay, local, &self.stop, both, share(number))?;
            Ok((worker, liveness.clone()))
        };
        let workers = livenesses.iter().enumerate().map(make).collect::<io::Result<Vec<_>>>()?;
        for (number, (worker, liveness)) in workers.into_iter().enumerate() {
            let thread = std::thread::Builder::new().name("treecast-data".into());
            let probe_interval_ns = (number == 0).then_some(self.probe_interval_ns);
            running.workers.push((thread.spawn(move || worker.run(probe_interval_ns))?, liveness));
        }
        // Where the system refuses, packets wait a little longer.
        let _ = set_slice(CONTROL_SLICE_NS);
        Ok(())
    }

    /// Ends the workers and closes everything.
    pub fn stop(&self) {
        self.stop.signal();
        let mut running = self.running();
        for (worker, _) in running.workers.drain(..) {
            // A worker that panicked has ended too.
            let _ = worker.join();
        }
        if let Some(open) = running.open.take() {
            open.local.packets.close_all(&self.tables);
        }
    }

    /// How many threads move packets.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// How many of them run: fewer than there should be when one has panicked, or the system has failed it.
    pub fn running_workers(&self) -> usize {
        self.running().workers.iter().filter(|(worker, _)| !worker.is_finished()).count()
    }

    /// Signals each worker: one that still turns answers.
    pub fn signal_workers(&self) {
        self.running().workers.iter().for_each(|(_, liveness)| liveness.signal());
    }

    /// How many workers have not answered since.
    pub fn unanswered(&self) -> usize {
        self.running().workers.iter().filter(|(_, liveness)| !liveness.is_answered()).count()
    }

    /// Whether the TAP stays at the end.
    pub fn set_stay(&self, on: bool) -> io::Result<()> {
        self.open_now().map_or(Ok(()), |open| open.local.tap.set_stay(on))
    }

    /// The TAP's name.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The MTU of this node's underlay; None when stopped.
    pub fn underlay_mtu(&self) -> Option<usize> {
        self.open_now().map(|open| open.underlay.mtu.get())
    }

    /// Sets the MTU from now on; false below 1280 and above 9000.
    pub fn set_underlay_mtu(&self, mtu: usize) -> bool {
        self.open_now().is_none_or(|open| open.underlay.mtu.set(mtu))
    }

    /// The sockets' addresses.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Dropped so far, by reason, in the order of [`Reason::ALL`].
    pub fn drops(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        if let Some(Open { underlay, local }) = self.open_now() {
            local.note_overruns(&self.tables);
            underlay.note_overruns(&self.tables);
        }
        Reason::ALL.iter().map(|reason| (*reason, self.tables.drops.get(*reason)))
    }

    /// Offloads that the kernel granted; nothing when stopped.
    pub fn offloads(&self) -> Vec<&'static str> {
        self.open_now().map(|open| open.local.offloads().chain(open.underlay.offloads()).collect()).unwrap_or_default()
    }

    /// Readable when events wait.
    pub fn event_fd(&self) -> &EventFd {
        &self.events
    }

    /// Takes up to `limit` events.
    pub fn drain(&self, limit: usize) -> Vec<Event> {
        self.tables.drain(limit, || self.events.clear())
    }

    /// Sends a datagram as it is (handshakes).
    pub fn send_datagram(&self, to: Endpoint, datagram: &[u8]) -> bool {
        self.tables.expected_answers.note(datagram, monotonic_ns());
        self.open_now().is_some_and(|open| open.underlay.send(&self.tables, datagram, to))
    }

    /// Sends a control message on the peer's newest confirmed session.
    pub fn send_control(&self, peer: u32, message: &[u8]) -> bool {
        let fits = if message.len() > MAX_CONTROL_LEN { Err(Reason::ControlTooBig) } else { Ok(()) };
        self.send_on(fits.and_then(|()| self.tables.session_to(peer)), KIND_CONTROL, message)
    }

    /// Sends a handshake datagram in the peer's newest confirmed session.
    pub fn send_handshake(&self, peer: u32, datagram: &[u8]) -> bool {
        self.send_on(self.tables.session_to(peer), KIND_HANDSHAKE, datagram)
    }

    /// Sends a handshake datagram to a node by a neighbour.
    pub fn send_forwarded(&self, neighbour: u32, destination: u32, datagram: &[u8]) -> bool {
        self.tables.expected_answers.note(datagram, monotonic_ns());
        match (self.tables.neighbour(neighbour), self.open_now()) {
            (Ok(session), Some(open)) => open.underlay.send_by(&self.tables, &session, destination, datagram),
            (Err(reason), _) => {
                self.tables.drops.count(reason);
                false
            }
            _ => false,
        }
    }

    /// Sends a challenge to an address from which datagrams of the peer came.
    pub fn challenge_path(&self, peer: u32, to: Endpoint, value: u64) {
        match (self.tables.session_to(peer), self.open_now()) {
            (Ok(session), Some(open)) => {
                session.path.challenge(to, value);
                open.underlay.send_to(&self.tables, &session, to, KIND_PATH_CHALLENGE, &value.to_be_bytes());
            }
            (Err(reason), _) => self.tables.drops.count(reason),
            _ => {}
        }
    }

    /// Probes a node now, too, on the way that all for it goes.
    pub fn probe(&self, peer: u32) {
        match (self.tables.session_to(peer), self.open_now()) {
            (Ok(session), Some(open)) => open.underlay.probe(&self.tables, &session, false, monotonic_ns()),
            (Err(reason), _) => self.tables.drops.count(reason),
            _ => {}
        }
    }

    /// Writes a frame to a port.
    pub fn inject(&self, port: u32, frame: &[u8]) -> bool {
        self.open_now().is_some_and(|open| match port {
            TAP_PORT => open.local.inject(&self.tables, frame),
            _ => open.local.packets.inject(&self.tables, port, frame),
        })
    }

    /// Opens a port with a packet socket: its number.
    pub fn open_packet_port(&self, socket: OwnedFd) -> io::Result<u32> {
        let Open { underlay, local } = self.open_now().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        PacketPorts::open(&self.tables, &underlay, &local, socket)
    }

    /// Is there a port with this number?
    pub fn has_port(&self, port: u32) -> bool {
        port == TAP_PORT || self.open_now().is_some_and(|open| open.local.packets.has(port))
    }

    /// Closes a packet port; false when there is none with this number.
    pub fn close_port(&self, port: u32) -> bool {
        self.open_now().is_some_and(|open| open.local.packets.close(&self.tables, port))
    }

    /// Sends a frame that came from a port on the broadcast tree, unless it stays on the port's LAN.
    pub fn flood(&self, port: u32, frame: &[u8]) {
        if let Some(open) = self.open_now() {
            self.flooding.flood(&self.tables, &open.underlay, port, frame);
        }
    }

    pub(crate) fn send_on(&self, session: Result<Arc<Session>, Reason>, kind: u8, body: &[u8]) -> bool {
        match (session, self.open_now()) {
            (Ok(session), Some(open)) => open.underlay.send_on(&self.tables, &session, kind, body),
            (Err(reason), _) => {
                self.tables.drops.count(reason);
                false
            }
            _ => false,
        }
    }

    pub(crate) fn open_now(&self) -> Option<Open> {
        self.running().open.clone()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop();
    }
}
