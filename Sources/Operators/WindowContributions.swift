public import Views

// What somebody else has counted, such as the outcomes of persons: it goes into the same windows.
extension WindowAggregator {
  /// Adds counts, negative ones too, to the windows of all levels that contain `time`.
  ///
  /// Between two moments any number of calls, then ``finishContributions()``.
  ///
  /// - Parameter tuple: an encoded dimension tuple.
  /// - Returns: `onTime` where the 10 s window was still open, else `late`.
  public mutating func add(
    _ counts: Counts, tuple: UnsafeRawBufferPointer, time: Int64, at moment: FrameMoment
  ) -> Verdict {
    let slot = tuples.intern(tuple)
    guard time >= policy.onTimeFrom(watermark: watermark) else {
      correct(counts, slot, max(time, TimeRange.earliest), at: moment)
      return .late
    }
    let window = WindowKey.window(.tenSeconds, WindowLevel.tenSeconds.start(of: time))
    var entry = open.find(WindowKey.key(slot, window: window))
    if entry < 0 { entry = addOpen(slot, window) }
    open.entries[entry].value += counts
    return .onTime
  }

  /// Ends a frame's contributions: what it changes later is another revision.
  public mutating func finishContributions() { finishFrame() }
}
