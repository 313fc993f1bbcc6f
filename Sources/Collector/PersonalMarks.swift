import Events

/// Which values of an event its schema marks as personal (`x-personal`): the paths as a tree, walked beside
/// the event.
struct PersonalMarks: Sendable {
  /// Nodes of the tree that a value is at; several where a path has a `*`.
  typealias Places = [Int]

  static let none = PersonalMarks()

  private struct Node {
    var isPersonal = false
    var members: [String: Int] = [:]
    /// Every element, or every member that has no name of its own.
    var others: Int?
  }

  private var nodes: [Node] = []

  private init() {}

  /// - Parameters:
  ///   - properties: where the properties are in an event; see ``PropertiesPlace``.
  ///   - paths: from the properties inwards; see ``JSONSchema/personalPaths``.
  init(properties: PropertiesPlace, paths: [[String]]) {
    guard case .first(let prefixes) = properties, !paths.isEmpty else { return }
    nodes = [Node()]
    for prefix in prefixes { for path in paths { insert(prefix + path) } }
  }

  private mutating func insert(_ path: [String]) {
    var index = 0
    for name in path {
      let known = name == "*" ? nodes[index].others : nodes[index].members[name]
      let next = known ?? nodes.count
      if known == nil {
        nodes.append(Node())
        if name == "*" { nodes[index].others = next } else { nodes[index].members[name] = next }
      }
      index = next
    }
    nodes[index].isPersonal = true
  }

  /// Of an event; empty where nothing is marked.
  var whole: Places { nodes.isEmpty ? [] : [0] }

  func isPersonal(_ places: Places) -> Bool { places.contains { nodes[$0].isPersonal } }

  func places(_ places: Places, member name: String) -> Places {
    places.flatMap { place in
      [nodes[place].members[name], nodes[place].others].compactMap(\.self)
    }
  }

  func places(_ places: Places, element index: Int) -> Places {
    self.places(places, member: "\(index)")
  }
}
