import Dataflow
import Definitions
import JetStreamLog

/// Carries a plan out on a server.
struct StreamSetup {
  private let admin: StreamAdmin

  init(_ admin: StreamAdmin) { self.admin = admin }

  func changes(_ streams: StreamDefinitions) throws -> [StreamChange] {
    let actual = try configurations()
    let generations = try StreamGenerations(actual: actual)
    return try StreamPlan.changes(desired: streams.adopting(generations), actual: actual)
  }

  /// The declared streams, with the generations that the server has.
  func adopted(_ streams: StreamDefinitions) throws -> StreamDefinitions {
    streams.adopting(try generations())
  }

  func generations() throws -> StreamGenerations {
    try StreamGenerations(actual: configurations())
  }

  /// Of all streams, as JSON.
  private func configurations() throws -> [String] {
    try admin.names().compactMap { try admin.info($0)?.config }
  }

  /// Makes the stream between the stages of a version that is not declared, where it is missing.
  func makePartials(of pipeline: PipelineSpec, in streams: StreamDefinitions) throws {
    guard pipeline.hasSecondStage, try admin.info(pipeline.partialsStream) == nil else { return }
    _ = try admin.create(
      pipeline.partialsStream, config: streams.partialsConfig(of: pipeline).json)
  }

  func apply(_ changes: [StreamChange]) throws {
    for change in changes {
      switch change.action {
      case .create: _ = try admin.create(change.stream, config: change.config?.json ?? "{}")
      case .update: _ = try admin.update(change.stream, config: change.config?.json ?? "{}")
      case .recreate:
        _ = try admin.delete(change.stream)
        _ = try admin.create(change.stream, config: change.config?.json ?? "{}")
      case .abandon: continue
      }
    }
  }
}
