"""Which links, trees and routes? Today: a full mesh, and from each root a star to its subscribers."""
