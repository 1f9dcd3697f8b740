//! Hosts and routes that wait to be written at once, at the cost of a few, and the commands that must not overtake them.

use std::collections::HashSet;
use std::mem::take;

use treecast_core::frame::Mac;
use treecast_core::routes::SetRoute;

use crate::commands::Command;

/// Commands of one kind that are carried out at once, each with its position.
pub type Together<T> = Vec<(usize, T)>;
/// A host: its VLAN, its address, and the node that it is at.
pub type HostAtNode = (u16, Mac, u32);

/// A command, and what is to be written before it.
#[allow(missing_docs)]
#[derive(Debug, PartialEq, Eq)]
pub struct Due<'a> {
    pub hosts: Together<HostAtNode>,
    pub routes: Together<SetRoute>,
    pub command: Command<'a>,
}

/// Hosts and routes that wait.
#[derive(Default)]
pub struct WaitingCommands {
    hosts: Together<HostAtNode>,
    routes: Together<SetRoute>,
    /// Trees that were made meanwhile: who makes one, and gives it members, changes nothing that a route has led to.
    new_trees: HashSet<u32>,
}

impl WaitingCommands {
    /// Notes a command that may wait; gives back one that is to be carried out now.
    pub fn take<'a>(&mut self, position: usize, command: Command<'a>) -> Option<Due<'a>> {
        match command {
            Command::SetHost { vlan, mac, peer } => self.hosts.push((position, (vlan, mac, peer))),
            Command::SetRoute { vlan, group, source, stream } => {
                self.routes.push((position, SetRoute { vlan, group, source, stream }));
            }
            command => {
                let hosts = if Self::follows_hosts(&command) { take(&mut self.hosts) } else { Vec::new() };
                let routes = if self.follows_routes(&command) { take(&mut self.routes) } else { Vec::new() };
                return Some(Due { hosts, routes, command });
            }
        }
        None
    }

    /// All that still waits.
    pub fn rest(self) -> (Together<HostAtNode>, Together<SetRoute>) {
        (self.hosts, self.routes)
    }

    /// Must the hosts that wait be there before it?
    fn follows_hosts(command: &Command<'_>) -> bool {
        matches!(command, Command::RemoveHost { .. } | Command::ForgetPeer { .. })
    }

    /// Must the routes that wait be there before it? Trees change in the order in which they are wanted.
    fn follows_routes(&mut self, command: &Command<'_>) -> bool {
        match command {
            Command::CreateTree { stream, .. } if self.new_trees.insert(*stream) => return false,
            Command::SetTreeMembers { stream, .. } if self.new_trees.contains(stream) => return false,
            _ => self.new_trees.clear(), // routes lead to them now
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 7];
    const SET_HOST: Command<'_> = Command::SetHost { vlan: 0, mac: MAC, peer: 7 };

    fn set_route(stream: u32) -> Command<'static> {
        Command::SetRoute { vlan: 0, group: [239, 1, 1, stream as u8].into(), source: None, stream }
    }

    fn create_tree(stream: u32) -> Command<'static> {
        Command::CreateTree { stream, epoch: 1, key_id: 1 }
    }

    fn set_members(stream: u32) -> Command<'static> {
        Command::SetTreeMembers { stream, next_hops: vec![7], replicate: vec![], beyond: vec![] }
    }

    /// The positions at which commands are carried out, in order: those that wait where they are written.
    fn order(commands: Vec<Command<'static>>) -> Vec<usize> {
        let (mut waiting, mut order) = (WaitingCommands::default(), Vec::new());
        let write = |hosts: Together<HostAtNode>, routes: Together<SetRoute>| {
            hosts
                .into_iter()
                .map(|(position, _)| position)
                .chain(routes.into_iter().map(|(position, _)| position))
                .collect()
        };
        for (position, command) in commands.into_iter().enumerate() {
            if let Some(due) = waiting.take(position, command) {
                let before: Vec<usize> = write(due.hosts, due.routes);
                order.extend(before);
                order.push(position);
            }
        }
        let (hosts, routes) = waiting.rest();
        order.extend(write(hosts, routes));
        order
    }

    #[test]
    fn hosts_wait_for_each_other_and_no_command_of_something_else_for_them() {
        assert_eq!(order(vec![SET_HOST, Command::RemoveTree { stream: 1 }, SET_HOST]), [1, 0, 2]);
    }

    #[test]
    fn a_host_that_is_removed_was_written_before() {
        assert_eq!(order(vec![SET_HOST, Command::RemoveHost { vlan: 0, mac: MAC }, SET_HOST]), [0, 1, 2]);
    }

    #[test]
    fn hosts_of_a_peer_that_is_forgotten_were_written_before() {
        assert_eq!(order(vec![SET_HOST, Command::ForgetPeer { peer: 7 }, SET_HOST]), [0, 1, 2]);
    }

    #[test]
    fn trees_that_are_new_are_made_while_routes_wait() {
        let commands = vec![
            create_tree(1),
            set_members(1),
            set_route(1),
            create_tree(2),
            set_members(2),
            set_route(2),
            set_members(1),
        ];
        assert_eq!(order(commands), [0, 1, 3, 4, 6, 2, 5]);
    }

    #[test]
    fn the_members_of_a_tree_that_was_there_change_after_the_routes_before_them() {
        assert_eq!(order(vec![set_route(2), set_members(1), set_route(1)]), [0, 1, 2]);
    }

    #[test]
    fn a_tree_that_is_made_again_follows_the_routes_before_it() {
        assert_eq!(order(vec![create_tree(1), set_route(1), create_tree(1)]), [0, 1, 2]);
    }

    #[test]
    fn any_other_command_follows_the_routes_before_it() {
        let remove_route = Command::RemoveRoute { vlan: 0, group: [239, 1, 1, 1].into(), source: None };
        for command in [Command::RemoveTree { stream: 1 }, remove_route, Command::UseKey { stream: 1, key_id: 2 }] {
            assert_eq!(order(vec![set_route(1), command, set_route(1)]), [0, 1, 2]);
        }
    }

    #[test]
    fn a_tree_to_which_a_route_leads_by_now_is_new_no_more() {
        let use_key = Command::UseKey { stream: 1, key_id: 2 };
        assert_eq!(order(vec![create_tree(1), set_route(1), use_key, set_route(2), set_members(1)]), [0, 1, 2, 3, 4]);
    }
}
