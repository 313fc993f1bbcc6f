import Dataflow
import Events
import Ports

/// What a stored frame turned out to be.
enum FrameContent {
  case events(FrameView)
  case partials(PartialFrameView)
  case poison(FrameError)

  init(_ frame: any StoredFrame, of role: StreamRole) {
    do throws(FrameError) {
      self =
        role == .partials
        ? .partials(try PartialFrameView(frame.bytes)) : .events(try FrameView(frame.bytes))
    } catch {
      self = .poison(error)
    }
  }
}

extension Pipeline {
  /// Takes a stored frame in; one that cannot be read is passed over.
  mutating func process(
    _ content: FrameContent, of frame: any StoredFrame
  ) throws(PipelineError) {
    switch content {
    case .events(let view):
      try process(frame: view, sequence: frame.sequence, storedAt: frame.storedAt)
    case .partials(let view):
      try process(
        partials: view, bytes: frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt)
    case .poison:
      try skip(
        sequence: frame.sequence, storedAt: frame.storedAt,
        checksum: PartitionLoop.checksum(frame.bytes))
    }
  }
}
