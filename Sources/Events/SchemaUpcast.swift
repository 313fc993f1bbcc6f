/// How properties of one version of an event become those of the next, as `x-upcast` says it:
///
///     "x-upcast": [
///       {"op": "rename", "path": "/amount", "to": "revenue"},
///       {"op": "move", "path": "/order/coupon", "to": "/coupon"},
///       {"op": "default", "path": "/currency", "value": "EUR"}
///     ]
///
/// Paths are JSON pointers (RFC 6901) of members of objects. What is not there is not moved, and a default
/// is only for what is not there.
public struct SchemaUpcast: Equatable, Sendable {
  enum Step: Equatable, Sendable {
    case move(from: [String], to: [String])
    case fill([String], JSONTree)
  }

  private static let operations = "rename {path, to}, move {path, to}, default {path, value}"
  private(set) var steps: [Step] = []

  /// - Returns: nil where there are problems.
  init?(_ tree: JSONTree, _ problems: inout [SchemaProblem]) {
    guard case .array(let items) = tree else {
      problems.append(
        SchemaProblem(
          pointer: "/x-upcast", what: "is no list", allowed: "an array of steps",
          fix: "write [ ] where nothing changes"))
      return nil
    }
    let before = problems.count
    for (index, item) in items.enumerated() {
      if let step = Self.step(item) {
        steps.append(step)
      } else {
        problems.append(
          SchemaProblem(
            pointer: "/x-upcast/\(index)", what: "is no step", allowed: Self.operations,
            fix: #"write it as {"op": "rename", "path": "/amount", "to": "revenue"}"#))
      }
    }
    if problems.count > before { return nil }
  }

  private static func step(_ item: JSONTree) -> Step? {
    guard case .object(let members) = item, members.count == 3, case .string(let op)? = item["op"],
      case .string(let pointer)? = item["path"], let path = path(pointer)
    else { return nil }
    switch op {
    case "rename":
      guard case .string(let name)? = item["to"], !name.isEmpty, !name.contains("/") else {
        return nil
      }
      return .move(from: path, to: path.dropLast() + [name])
    case "move":
      guard case .string(let target)? = item["to"], let target = Self.path(target),
        // Nothing can be moved into itself.
        !target.starts(with: path)
      else { return nil }
      return .move(from: path, to: target)
    case "default": return item["value"].map { .fill(path, $0) }
    default: return nil
    }
  }

  private static func path(_ pointer: String) -> [String]? {
    guard pointer.hasPrefix("/") else { return nil }
    return pointer.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
      String($0).replacing("~1", with: "/").replacing("~0", with: "~")
    }
  }

  /// - Parameter properties: an object.
  public func apply(to properties: inout JSONTree) {
    for step in steps {
      switch step {
      case .move(let from, let to):
        guard let value = properties.value(at: from[...]) else { continue }
        properties.set(nil, at: from[...])
        properties.set(value, at: to[...])
      case .fill(let path, let value):
        if properties.value(at: path[...]) == nil { properties.set(value, at: path[...]) }
      }
    }
  }
}

extension JSONTree {
  fileprivate func value(at path: ArraySlice<String>) -> JSONTree? {
    guard let name = path.first else { return self }
    return self[name]?.value(at: path.dropFirst())
  }

  /// Makes the objects that are missing on the way; what is no object there is left as it is.
  fileprivate mutating func set(_ value: JSONTree?, at path: ArraySlice<String>) {
    guard let name = path.first else { return }
    if path.count == 1 {
      self[name] = value
      return
    }
    guard var child = self[name] ?? (value == nil ? nil : .object([])) else { return }
    child.set(value, at: path.dropFirst())
    self[name] = child
  }
}
