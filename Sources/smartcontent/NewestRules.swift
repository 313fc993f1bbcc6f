import CShims
import Dataflow
import Definitions
import Glibc
import Logging
import PostgresViews
import Synchronization

/// By whose rules events count now, for a process that goes on while rules change: those of the newest version of its pipeline
/// among the one that queries read and the one that the folder of definitions declares.
///
/// The folder is read again when one of the two files that declare rules has changed. While it cannot be used, or Postgres is
/// away, what was known stands.
final class NewestRules: Sendable {
  private struct State {
    var declared: PipelineSpec
    var times: [Int64]
  }

  private let folder: String?
  private let versions: VersionFollower?
  private let logger: Logger
  private let state: Mutex<State>

  /// Their rules make a pipeline's, see ``Definitions``.
  private static let files = ["pipelines.yaml", "bots.yaml"]

  /// - Parameters:
  ///   - declared: the pipeline as the process found it.
  ///   - folder: nil where it is not looked at again.
  ///   - versions: nil where no database is known.
  init(_ declared: PipelineSpec, folder: String?, versions: VersionFollower?, logger: Logger) {
    self.folder = folder
    self.versions = versions
    self.logger = logger
    state = Mutex(State(declared: declared, times: Self.times(of: folder)))
  }

  /// Looks at the files; some microseconds where they have not changed.
  var current: PipelineSpec {
    let declared = state.withLock { state in
      let times = Self.times(of: folder)
      if times != state.times {
        state.times = times
        if let again = read(state.declared.name) { state.declared = again }
      }
      return state.declared
    }
    let active = versions?.versions.first { $0.name == declared.name && $0.isActive }?.spec
    return active.flatMap { $0.version > declared.version ? $0 : nil } ?? declared
  }

  private func read(_ name: String) -> PipelineSpec? {
    guard let folder else { return nil }
    do throws(DefinitionsError) {
      return try Definitions(folder: folder).pipeline(name)
    } catch {
      logger.warning(
        "definitions have changed and cannot be used; events are judged as before",
        metadata: ["folder": "\(folder)", "problems": "\(error)"])
      return nil
    }
  }

  /// When the files were changed last, nanoseconds; 0 of one that is not there.
  private static func times(of folder: String?) -> [Int64] {
    guard let folder else { return [] }
    return files.map { name in
      var status = stat()
      guard stat("\(folder)/\(name)", &status) == 0 else { return 0 }
      return Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }
  }
}
