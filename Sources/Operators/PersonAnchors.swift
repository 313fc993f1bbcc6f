public import Events
import Views

/// What is remembered of exposures after their touches have left state: as long as a touch may come that
/// would otherwise expose a second time.
///
/// Before a session leaves state its exposures become anchors, and so do later ones whose baseline it is
/// part of: what they count follows from what is no longer there, and nothing that may still come could
/// change it. An anchor is forgotten once the memory, and all that may still come within it, is over. Who
/// has nothing but anchors does not count against the limit of persons; who came when there were twice as
/// many as it allows is not remembered, which is counted.
extension PersonHistories {
  private var memory: Int64 { policy.experiments?.memory ?? 0 }

  /// Anchors before this time have nothing to say to touches that may still come.
  private var forgottenBefore: Int64 {
    now == .min ? .min : now * Self.step - policy.keep - memory
  }

  /// The anchors that still count. One that a touch in state is within the memory of does, however old.
  func liveAnchors(of index: Int) -> [ExposureAnchor] {
    let record = table.record(index)
    if record.pointee.anchors.count == 0 { return [] }
    let timeline = record.pointee.timeline
    let earliest = timeline.count == 0 ? .max : timeline[0].time
    return record.pointee.anchors.array.filter {
      $0.time >= forgottenBefore || earliest - memory <= $0.time
    }
  }

  /// Sets a person's anchors, in any order; of several of one touch that which reaches back furthest, of
  /// far too many the latest.
  mutating func setAnchors(_ anchors: [ExposureAnchor], of index: Int) {
    let record = table.record(index)
    anchorArena.release(record.pointee.anchors)
    var ordered = anchors.sorted(by: ExposureAnchor.precedes)
    var kept = 0
    for place in ordered.indices {
      let anchor = ordered[place]
      if kept > 0 && ordered[kept - 1].time == anchor.time
        && ordered[kept - 1].campaign == anchor.campaign
      {
        continue
      }
      ordered[kept] = anchor
      kept += 1
    }
    ordered.removeLast(ordered.count - kept)
    if kept > ExposureAnchor.countMax {
      forgottenExposures += Int64(kept - ExposureAnchor.countMax)
      ordered.removeFirst(kept - ExposureAnchor.countMax)
    }
    record.pointee.firstAnchor = anchorArena.allocate(ordered)
    record.pointee.anchorCount = UInt16(ordered.count)
  }

  /// Before a person's first touches leave state: makes anchors of what they have exposed to, and of what
  /// follows from them.
  mutating func anchorExposures(of index: Int, dropped: Int) {
    guard let policy = policy.experiments else { return }
    findExposures(of: index)
    if exposurePlaces.isEmpty { return }
    let timeline = table.record(index).pointee.timeline
    let end = timeline[dropped - 1].time + policy.lookBack
    var anchors = liveAnchors(of: index)
    let before = anchors.count
    for found in exposurePlaces {
      let touch = timeline[Int(found)]
      guard Int(found) < dropped || touch.time <= end else { break }
      anchors.append(
        ExposureAnchor(
          time: touch.time, from: touch.time, campaign: facet(touch.tuple).campaign))
    }
    if anchors.count > before { setAnchors(anchors, of: index) }
  }

  /// Holds a person's anchors within their number, but for those to whose campaigns there are touches in
  /// state: what these count would change.
  mutating func limitAnchors(of index: Int) {
    guard table.record(index).pointee.anchorCount > ExperimentPolicy.anchorCountMax else { return }
    var anchors = liveAnchors(of: index)
    let timeline = table.record(index).pointee.timeline
    var shown: Set<UInt64> = []
    for place in 0..<timeline.count where timeline[place].isShown {
      shown.insert(facet(timeline[place].tuple).campaign)
    }
    var excess = anchors.count - ExperimentPolicy.anchorCountMax
    let before = anchors.count
    anchors.removeAll { anchor in
      guard excess > 0, !shown.contains(anchor.campaign) else { return false }
      excess -= 1
      return true
    }
    setAnchors(anchors, of: index)
    if anchors.count == before { return }
    forgottenExposures += Int64(before - anchors.count)
    // When they were too many does not follow from time alone.
    markChanged(index)
  }

  /// Whether a person would be kept for its anchors if it had no touches.
  func keepsAnchors(_ index: Int) -> Bool {
    let record = table.record(index)
    if record.pointee.isForgetful { return false }
    return record.pointee.anchors.array.contains { $0.time >= forgottenBefore }
  }

  /// Whether a person without touches is kept for its anchors; sees to when it is looked at again.
  mutating func keepAnchored(_ index: Int) -> Bool {
    let record = table.record(index)
    guard record.pointee.anchorCount > 0 else { return false }
    var anchors = liveAnchors(of: index)
    if record.pointee.isForgetful {
      forgottenExposures += Int64(anchors.count)
      anchors = []
    }
    if anchors.count < Int(record.pointee.anchorCount) { setAnchors(anchors, of: index) }
    guard let last = anchors.last else { return false }
    setIdle(index, true)
    arm(index, Self.step(of: last.time + memory + policy.keep))
    return true
  }

  /// Notes whether a person is in state for its anchors alone.
  @inline(__always)
  mutating func setIdle(_ index: Int, _ isIdle: Bool) {
    let record = table.record(index)
    if record.pointee.isIdle == isIdle { return }
    record.pointee.isIdle = isIdle
    idleCount += isIdle ? 1 : -1
  }

  /// Puts in that a person counts as exposed to a campaign by a touch that is counted elsewhere.
  public mutating func insert(anchor: PartialAnchor, of person: Key128) {
    guard policy.experiments != nil else { return }
    flush()
    var index = table.find(person)
    if index < 0 {
      guard hasRoomForPerson else {
        forgottenExposures += 1
        return
      }
      index = addPerson(person)
    } else if table.record(index).pointee.root != 0 {
      index = Int(table.record(index).pointee.root) - 1
    }
    let anchor = ExposureAnchor(
      time: TimeRange.clamp(anchor.time), from: TimeRange.clamp(anchor.from),
      campaign: anchor.campaign)
    var anchors = liveAnchors(of: index)
    if !anchors.contains(anchor) {
      anchors.append(anchor)
      emitExposures(of: index, sign: -1)
      setAnchors(anchors, of: index)
      limitAnchors(of: index)
      emitExposures(of: index, sign: 1)
      markChanged(index)
    }
    armNext(index)
  }
}
