import Dataflow
import Synchronization

/// Which pipeline versions' tables this process has made or found made.
///
/// Making them is a transaction behind one lock for all processes, in which nearly nothing is left to do
/// once they are there. When streams are taken over from a killed process, several loops start at
/// once: each would wait for the others' turn before it could claim its stream.
public final class MadeTables: Sendable {
  private let schemas = Mutex<Set<String>>([])

  public init() {}

  func contains(_ schema: ViewSchema) -> Bool {
    schemas.withLock { $0.contains(Self.name(schema)) }
  }

  func insert(_ schema: ViewSchema) {
    schemas.withLock { _ = $0.insert(Self.name(schema)) }
  }

  /// Tables that were made for another declaration are not this one's.
  private static func name(_ schema: ViewSchema) -> String {
    "\(schema.name) \(schema.pipeline.hash)"
  }
}
