import Glibc
import NIOCore
import Synchronization

/// What the connections of one event loop share. Only that loop touches it.
///
/// A sweep at a fixed interval reads the clock, checks every connection's deadlines and renews
/// the `Date` line, so that a request costs no timer of its own.
final class LoopState: @unchecked Sendable {  // Its event loop's alone, but for `hasEnded`.
  let index: Int
  let eventLoop: any EventLoop
  /// Its connections have gone and it takes no more tasks: answers that come now are too late. Read by
  /// any thread.
  let hasEnded = Atomic<Bool>(false)
  /// Milliseconds of a steady clock at the last sweep.
  private(set) var nowMs: Int64
  private(set) var dateLine: [UInt8] = []
  private var dateSeconds: Int64 = -1
  private var connections: [ObjectIdentifier: Connection] = [:]
  private var sweeping: RepeatedTask?
  private(set) var isDraining = false
  private var drained: EventLoopPromise<Void>?
  private var spareBuffer: ByteBuffer

  /// A larger answer buffer is given back to the allocator instead of kept.
  private static let spareBufferBytesMax = 256 * 1024

  init(index: Int, eventLoop: any EventLoop) {
    self.index = index
    self.eventLoop = eventLoop
    nowMs = Self.clockMs()
    spareBuffer = ByteBufferAllocator().buffer(capacity: 4096)
    renewDate()
  }

  func start(sweepEveryMs intervalMs: Int) {
    sweeping = eventLoop.scheduleRepeatedTask(
      initialDelay: .milliseconds(Int64(intervalMs)), delay: .milliseconds(Int64(intervalMs))
    ) { [weak self] _ in self?.sweep() }
  }

  func add(_ connection: Connection) {
    connections[ObjectIdentifier(connection)] = connection
    if isDraining { connection.drain() }
  }

  func remove(_ connection: Connection) {
    connections[ObjectIdentifier(connection)] = nil
    finishDrainIfEmpty()
  }

  /// Ends idle connections now and the others after their current answer.
  ///
  /// - Parameter promise: succeeds when the last connection has gone.
  func drain(_ promise: EventLoopPromise<Void>) {
    isDraining = true
    drained = promise
    for connection in Array(connections.values) { connection.drain() }
    finishDrainIfEmpty()
  }

  func closeAll() {
    for connection in Array(connections.values) { connection.abort() }
  }

  func stop() {
    sweeping?.cancel()
    sweeping = nil
  }

  /// An empty buffer. Its storage is that of the last returned one if nobody holds that any more.
  func takeBuffer() -> ByteBuffer {
    var buffer = ByteBuffer()
    swap(&buffer, &spareBuffer)
    buffer.clear(minimumCapacity: 1024)
    return buffer
  }

  func giveBack(_ buffer: ByteBuffer) {
    if buffer.capacity <= Self.spareBufferBytesMax { spareBuffer = buffer }
  }

  private func finishDrainIfEmpty() {
    guard isDraining, connections.isEmpty, let promise = drained else { return }
    drained = nil
    promise.succeed(())
  }

  private func sweep() {
    nowMs = Self.clockMs()
    renewDate()
    for connection in Array(connections.values) { connection.checkDeadlines(nowMs: nowMs) }
  }

  private func renewDate() {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    guard Int64(now.tv_sec) != dateSeconds else { return }
    dateSeconds = Int64(now.tv_sec)
    dateLine = HeaderText.line("Date", HTTPDate.text(secondsSinceEpoch: dateSeconds))
  }

  private static func clockMs() -> Int64 {
    Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000)
  }
}
