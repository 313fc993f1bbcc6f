import Events
import Learning
import Operators
import States

/// What a follower knew at a position of the log: who judges its streams, who was erased, and the states of learners.
///
/// One blob with the checksum and the pipeline's hash of any snapshot (``SnapshotFormat``), so that what was made by other rules, or
/// by another version of the code that judges, is refused.
struct FollowerSnapshot: Equatable {
  struct Stream: Equatable {
    /// The last frame that was taken; 0 before the first.
    var sequence: UInt64
    /// When that was stored, microseconds since the epoch; nil where none was taken.
    var storedAt: Int64?
    var logTime: Int64
    /// What its judge hands over.
    var judge: [UInt8]
  }

  struct Learned: Equatable {
    var name: String
    var hash: UInt64
    var bytes: [UInt8]
  }

  var generation: UInt32
  /// Of the generation, in order.
  var streams: [Stream]
  var erasures: [Key128: Int64]
  var learners: [Learned]

  private static let section: UInt16 = 1
  private static let version: UInt16 = 1

  func bytes(pipelineHash: UInt64) -> [UInt8] {
    var codec = StateCodec()
    var copy = self
    do throws(StateError) {
      try copy.code(&codec)
    } catch {
      preconditionFailure("writing never fails: \(error)")
    }
    var writer = SnapshotWriter(kind: .base, pipelineHash: pipelineHash)
    writer.begin(section: Self.section, version: Self.version)
    let body = codec.finish()
    writer.put(UInt64(body.count))
    body.withUnsafeBytes { writer.put($0) }
    writer.end()
    return writer.finish()
  }

  /// - Throws: why the bytes are of no use here.
  init(_ bytes: [UInt8], pipelineHash: UInt64) throws(Refusal) {
    self.init(generation: 0, streams: [], erasures: [:], learners: [])
    do throws(SnapshotFormatError) {
      var reader = try SnapshotReader(bytes, pipelineHash: pipelineHash)
      try reader.open(section: Self.section, version: Self.version)
      let body = Array(try reader.get(byteCount: try reader.getCount(elementByteCount: 1)))
      try reader.close()
      try reader.finish()
      var codec = StateCodec(body)
      do throws(StateError) {
        try code(&codec)
        try codec.end()
      } catch {
        throw SnapshotFormatError.malformed(section: Self.section, "\(error)")
      }
    } catch {
      throw Refusal(reason: "\(error)")
    }
  }

  init(generation: UInt32, streams: [Stream], erasures: [Key128: Int64], learners: [Learned]) {
    self.generation = generation
    self.streams = streams
    self.erasures = erasures
    self.learners = learners
  }

  struct Refusal: Error {
    var reason: String
  }
}

extension FollowerSnapshot: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&generation)
    try codec.code(&streams)
    try codec.code(&erasures)
    try codec.code(&learners)
  }
}

extension FollowerSnapshot.Stream: CodedElement {
  static var blank: Self { Self(sequence: 0, storedAt: nil, logTime: .min, judge: []) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&sequence)
    try codec.code(&storedAt)
    try codec.code(&logTime)
    try codec.code(bytes: &judge)
  }
}

extension FollowerSnapshot.Learned: CodedElement {
  static var blank: Self { Self(name: "", hash: 0, bytes: []) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&name)
    try codec.code(&hash)
    try codec.code(bytes: &bytes)
  }
}
