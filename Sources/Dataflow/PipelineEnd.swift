import Operators
import Views

// The end of a sealed stream. Nothing comes after it, so its windows are closed as if much time had
// passed, and all that is kept of persons goes over to the streams of the next generation.
extension Pipeline {
  /// Closes what is open, once, after the last frame of a sealed stream. The next batch that is
  /// drained is the stream's last one, and says so by its seams (``Checkpoint/isFinished``).
  ///
  /// Persons and ids stay as they are: see ``adopt(base:)``.
  public mutating func end() {
    guard !hasEnded else { return }
    hasEnded = true
    if emitter != nil {
      persons?.drain(into: &contributions)
      emitter?.close(
        sequence: position, logTime: logTime, contributions: contributions, isLast: true,
        into: &emitted)
      contributions.removeAll()
    }
    guard logTime > .min else { return }
    // Past the end of the day in which the latest event can lie.
    let latest = WindowLevel.day.start(of: logTime + WindowPolicy.futureTolerance)
    let time = TimeRange.clamp(
      latest + 2 * WindowLevel.day.length + spec.windowGrace + spec.allowedDisorder)
    windows.advance(
      to: FrameMoment(
        sequence: position, logTime: time, watermark: watermark(at: time), isSilent: false))
  }
}
