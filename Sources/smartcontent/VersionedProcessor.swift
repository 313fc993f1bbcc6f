import Dataflow
import Logging
import Runtime
import Synchronization

/// A processor whose pipelines are those that the catalog keeps: when versions come or go, its loops
/// commit and end, and start again with the others, from their snapshots.
final class VersionedProcessor: Sendable {
  private struct State {
    var specs: [PipelineSpec] = []
    var isStopped = false
  }

  private let make: @Sendable ([PipelineSpec]) throws -> Processor
  private let logger: Logger
  /// Held while processors start and stop, so that these never overlap.
  private let state = Mutex(State())
  private let current = Mutex<Processor?>(nil)

  init(logger: Logger, _ make: @escaping @Sendable ([PipelineSpec]) throws -> Processor) {
    self.make = make
    self.logger = logger
  }

  /// What every loop does now; empty between two processors.
  var statuses: [PartitionStatus] { current.withLock { $0 }?.statuses ?? [] }

  /// How this process stands to the others; nil between two processors.
  var group: GroupStatus? { current.withLock { $0 }?.group }

  /// Runs these from now on. Blocks while loops commit and end.
  func run(_ specs: [PipelineSpec]) {
    state.withLock { state in
      guard !state.isStopped, state.specs != specs else { return }
      current.withLock { $0.take() }?.stop()
      state.specs = specs
      logger.info(
        "pipelines",
        metadata: [
          "run": "\(specs.map { "\($0.name) v\($0.version)" }.joined(separator: ", "))"
        ])
      do {
        let processor = try make(specs)
        processor.start()
        current.withLock { $0 = processor }
      } catch {
        // Tried again at the catalog's next change, or the next start.
        logger.critical("the processor does not start", metadata: ["error": "\(error)"])
      }
    }
  }

  func stop() {
    state.withLock { state in
      state.isStopped = true
      current.withLock { $0.take() }?.stop()
    }
  }
}
