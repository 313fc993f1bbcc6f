/// Something wrong in a definition file: where, what, and what would be right.
public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
  /// As it was opened, such as `Streams/streams.yaml`.
  public var file: String
  /// From 1; 0 where the whole file is meant.
  public var line: Int
  /// The key with those around it, such as `events.replicas`; empty for the whole file.
  public var key: String
  public var what: String
  public var allowed: String
  public var fix: String

  public init(
    file: String, line: Int = 0, key: String = "", what: String, allowed: String, fix: String
  ) {
    self.file = file
    self.line = line
    self.key = key
    self.what = what
    self.allowed = allowed
    self.fix = fix
  }

  public var description: String {
    let place = line > 0 ? "\(file):\(line)" : file
    let subject = key.isEmpty ? what : "\(key) \(what)"
    return "\(place): \(subject); allowed: \(allowed); to fix it, \(fix)"
  }
}

/// Why a folder of definitions cannot be used: every problem that was found, at least one.
public struct DefinitionsError: Error, Hashable, Sendable, CustomStringConvertible {
  public let problems: [Problem]

  public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Collects the problems of one file while it is read.
final class ProblemList {
  let file: String
  private(set) var problems: [Problem] = []

  init(file: String) { self.file = file }

  func add(line: Int, key: String = "", what: String, allowed: String, fix: String) {
    problems.append(
      Problem(file: file, line: line, key: key, what: what, allowed: allowed, fix: fix))
  }
}
