"""The limits of tables: how many entries a host, a member or a stranger can cause.

docs/limits.md says what happens when one is full. What the operator sets is in ``multicast/config.py``; limits of a
message, a frame or a turn stand beside their only user.
"""


# Broadcast

MAX_ORIGINS = 16_384
"""Nodes of which advertisements are held; as many tombstones."""
MAX_RECORDS_PER_ORIGIN = 16_384
"""Advertisements of one node."""
MAX_CA_RECORDS = 65_536
"""Records of the CA: of revocations one for each node that it has admitted (MAX_REGISTERED_NODES)."""
MAX_GROUPS_PER_ORIGIN = 16_384
"""Groups that one node's chunks list."""
MAX_SOURCES_PER_ORIGIN = 16_384
"""Sources of these groups, all together: each may make a tree at each root."""
MAX_BYTES_PER_ORIGIN = 4_194_304
"""Bytes of the advertisements of one node. 4,096 hosts with ten addresses each and 16,384 groups take half of that."""
MAX_WAITING_ADVERTISEMENTS = 256
"""Advertisements of one neighbour that wait for their turn: more than it has on the way."""
MAX_NAMED_OVER_QUOTA = 64
"""Nodes that advertise more than they may, for people."""
MAX_KNOWN_RUNS = 16_384
"""Nodes of which it is known which run they are."""
MAX_RESTARTED_NODES = 256
"""Nodes that have begun another epoch within the last minute."""
MAX_REQUESTED_ORIGINS = 16
"""Origins requested of a neighbour, twice each; what is beyond fingerprints find."""

# Identities

MAX_CERTIFICATE_BYTES = 768
"""Length of a certificate."""
MAX_NEWEST_CERTIFICATES = 65_536
"""Certificates, each the newest that was seen of a node."""
MAX_VERIFIED_CERTIFICATES = 16_384
"""Certificates whose signature was verified, so that it need not be again."""
MAX_REGISTERED_NODES = 65_536
"""Nodes in a network's registry."""

# Topology and trees

MAX_GROUP_PREFIXES = 1024
"""Prefixes of groups, of all nodes. As many as the data plane holds."""
MAX_GROUP_PREFIXES_PER_NODE = 64
"""Prefixes of groups of one node (docs/protocol.md section 7)."""
MAX_KEPT_GROUPS = 1024
"""Groups that nodes get by prefixes, whose trees are kept for a while when nobody joins them any more."""
MAX_ROOT_TREES = 65_536
"""Trees of this node, as many as the data plane holds. What other nodes subscribe to decides how many there are."""
MAX_DOWNSTREAM_TREES = 65_536
"""Trees of other nodes that this one is on."""
MAX_DOWNSTREAM_TREES_PER_ROOT = 16_384
"""Trees of one root that this node is on: one root cannot fill the table for the others."""
MAX_RELAYED_STREAMS = 16_384
"""Streams of other nodes that this one relays."""
MAX_RELAYED_STREAMS_PER_ROOT = 1024
"""Streams of one root that this node relays: one root has no more of its forwarding than this."""
MAX_TREE_CHILDREN = 256
"""Children of one node on a tree other than its root, as the data plane has it (docs/protocol.md section 6)."""

MAX_TRACES = 16
"""Traces of trees that this node's owner wants, at once: as many as clients."""
MAX_GATHERINGS = 16
"""Groups whose trees this node traces at once, as their root, for others."""

# NodeDiscovery

MAX_REMOTE_HOSTS = 262_144
"""Hosts of other nodes. As many as the data plane's table holds."""
MAX_HOSTS_PER_PORT = 1024
"""Hosts of one port."""
MAX_ADDRESSES_PER_HOST = 16
"""Addresses of one host."""
MAX_REFUSED_CLAIMS = 16
"""Hosts that one node claims without the role, for people."""
MAX_DISPUTANTS = 16
"""Nodes that claim hosts with addresses of one node, to be judged anew when that is lost."""
MAX_SOLICITATIONS = 1024
"""ARP and ND requests of the last seconds, by sender and target."""
MAX_ADDRESS_CONFLICTS = 256
"""Addresses that two hosts claim."""
MAX_MOVERS = 4096
"""Hosts that moved lately; as many addresses."""
MAX_DEPARTED_HOSTS = 4096
"""Hosts that are at no node any more, with their addresses."""

# IP Multicast

MAX_ROUTERS_PER_SEGMENT = 32
"""Multicast routers of a port and VLAN."""
MAX_GROUP_QUERIES = 1024
"""Queries about groups that hosts are answering; beyond them, older reports may silence a host."""

# LANs that nodes share

MAX_CANDIDATES = 64
"""Other nodes on one LAN."""
MAX_BEACON_SEQUENCES = 256
"""Ports of nodes whose last beacon on a LAN is remembered, so that no older one counts."""
MAX_SEEN_HOSTS = 1024
"""Hosts seen on a LAN that another node carries."""
MAX_LAN_STRANGERS = 16
"""Other networks on a LAN; as many nodes there without beacons."""

# Links

MAX_PENDING_HANDSHAKES = 1024
"""Handshakes that other nodes began: as many may meet at one address at once. As many that may still be refused."""
MAX_SESSIONS_PER_PEER = 3
"""Sessions of one peer (docs/protocol.md section 3)."""
MAX_REMEMBERED_NODES = 256
"""Nodes remembered for the next start."""
MAX_REMEMBERED_ENDPOINTS = 4
"""Addresses of each of these."""
MAX_REMEMBERED_PIM_ENTRIES = 4096
"""PIM routers and their Joins remembered for the next start."""
MAX_INIT_BUDGETS = 4096
MAX_SESSION_BUDGETS = 4096
"""Addresses that handshakes were sent to lately, each with a budget."""
MAX_ENDED_STREAMS = 1024
"""Streams of this node that have ended, whose subscribers are sent that again."""
MAX_RESTLESS_MEMBERS = 1024
"""Pairs of a tree and a member that has left it, whose times are counted."""
MAX_RESTLESS_TREES = 64
"""Trees that members leave by turns, and come back to."""
MAX_NOTICED_ENDPOINTS = 256
"""Addresses at which one kind of thing was noticed."""
MAX_FALLEN_NODE_ROUTES = 1024
"""Pairs of a neighbour and a node that fell silent by it."""
MAX_GONE_NODES = 256
"""Nodes that are shown as gone."""
MAX_REFUSED_MEMBERS = 64
"""Members that refuse this node, or that it refuses."""
MAX_REFUSED_STRANGERS = 8
"""Addresses of strangers that refuse this node, or that it refuses."""
MAX_TRACED_STEPS = 256
"""Steps of handshakes between two readings; more are only counted."""

# Views, problems and verbs

MAX_CHANGES = 4096
"""Changes of one type. A reader that is further behind begins anew, which costs no more where tables are long."""
MAX_FAULTS_PER_TURN = 16
"""Internal errors of one turn that are shown; more are counted."""
MAX_FAULT_KINDS = 64
"""Kinds of internal errors that are logged."""
MAX_PROBLEMS = 256
"""Problems at once; more are not shown: who has so many begins with the first."""
MAX_OVERRUN_REASONS = 64
"""Drop reasons that grow, for the problem ``no_room``."""
MAX_NAMED_REFUSED = 64
"""Nodes of which something is refused, once for each reason, for people."""
MAX_OVERUSED_NODE_ROUTES = 64
"""Budgets of node routes, and nodes of each, that are followed for the problem ``node_route_overused``."""
MAX_WAITING_FOLLOWERS = 8
"""Programs that wait for changes of groups; further ones are answered at once, they pause by themselves."""
MAX_CLIENTS = 16
"""Programs at the control socket."""
MAX_PACKET_PORTS = 3
"""Interfaces that cannot be bridged, each with a port of its own."""
