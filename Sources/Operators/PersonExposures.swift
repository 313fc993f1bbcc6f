import Events
import Views

/// Who was exposed to which campaign's variants, and what came of it: a person's first touch of a campaign
/// that shows a variant (impression, view, exposure), and what lies around it in the person's history.
///
///     look-back          T        outcome window         memory
///     ├──── c ── v ──────e₁────── c ── e ──┤ ··· e ··· ──┤ ── e₂      of one campaign, but for the baseline
///      prior: 2          └ exposed, clicked                  └ exposed anew
///
/// A touch exposes where no exposure to the campaign lies at most ``ExperimentPolicy/memory`` before it.
/// One that comes late takes the place of a later one, which is taken back. What has left state stays as it
/// was counted, and is remembered by an anchor (``ExposureAnchor``), to whose campaign no touch within the
/// memory of it exposes any more.
///
/// Cost: a pass over the person's touches for each one that shows a variant, clicks or converts; nothing
/// where the pipeline declares no experiments.
extension PersonHistories {
  /// What exposures have to do with a tuple.
  struct Facet: BitwiseCopyable {
    /// The same for tuples of one site and campaign; 0 for no campaign.
    var campaign: UInt64
    /// The same for one variant; 0 for none.
    var variant: UInt64

    init(of tuple: UnsafeRawBufferPointer) {
      let ends = (0...Dimension.variant.rawValue).map { EncodedTuple.end(of: $0 + 1, in: tuple) }
      func hash(_ range: Range<Int>) -> UInt64 {
        max(1, SipHash128.hash(UnsafeRawBufferPointer(rebasing: tuple[range])).low)
      }
      let (site, campaign) = (Dimension.site.rawValue, Dimension.campaign.rawValue)
      let (content, variant) = (Dimension.content.rawValue, Dimension.variant.rawValue)
      self.campaign = ends[campaign] - ends[site] == 2 ? 0 : hash(0..<ends[campaign])
      self.variant =
        ends[variant] - ends[content] == 2 ? 0 : hash(ends[content]..<ends[variant])
    }
  }

  @inline(__always)
  func facet(_ slot: UInt32) -> Facet { facets.unsafelyUnwrapped[Int(slot)] }

  /// What is to be added to a tuple's window.
  struct ExposureSums: BitwiseCopyable {
    var exposures = Exposures()
    var baselines = Baselines()
  }

  /// True for a touch that shows a variant of a campaign.
  @inline(__always)
  private func exposes(_ touch: KeptTouch) -> Bool {
    guard touch.isShown, facets != nil else { return false }
    let shown = facet(touch.tuple)
    return shown.campaign != 0 && shown.variant != 0
  }

  /// True where putting the touch in, at that place of a person's, may change what exposures count.
  mutating func concernsExposures(_ touch: KeptTouch, of index: Int, place: Int) -> Bool {
    guard let policy = policy.experiments else { return false }
    let record = table.record(index)
    let timeline = record.pointee.timeline
    guard touch.isClick || touch.isConversion else {
      if !exposes(touch) { return false }
      if place < timeline.count { return true }
      // Mostly it exposes nobody anew, and shows no other variant.
      let own = facet(touch.tuple)
      findExposures(of: index, only: own.campaign)
      guard let last = exposurePlaces.last else {
        let anchors = record.pointee.anchors
        return !anchors.block(own.campaign, at: touch.time, memory: policy.memory)
      }
      let exposure = timeline[Int(last)]
      let since = touch.time - exposure.time
      return since > policy.memory
        || (since <= policy.outcomeWindow && facet(exposure.tuple).variant != own.variant)
    }
    if place < timeline.count { return true }
    let campaign = facet(touch.tuple).campaign
    if campaign == 0 { return false }
    var before = place
    while before > 0 && timeline[before - 1].time >= touch.time - policy.outcomeWindow {
      before -= 1
      if facet(timeline[before].tuple).campaign == campaign && exposes(timeline[before]) {
        return true
      }
    }
    return false
  }

  // MARK: Which touches expose

  /// Sets ``exposurePlaces`` to the touches that expose their person, in order.
  ///
  /// - Parameter only: the campaign that is asked for; nil for all.
  mutating func findExposures(of index: Int, only: UInt64? = nil) {
    exposurePlaces.removeAll(keepingCapacity: true)
    guard let policy = policy.experiments else { return }
    let record = table.record(index)
    let timeline = record.pointee.timeline
    var last: Int64?
    if only == nil { lastExposures.removeAll() }
    for place in 0..<timeline.count {
      let touch = timeline[place]
      guard exposes(touch) else { continue }
      let campaign = facet(touch.tuple).campaign
      if let only {
        if campaign != only { continue }
      } else {
        let entry = lastExposures.find(campaign)
        last = entry < 0 ? nil : lastExposures.entries[entry].value
      }
      if let last, touch.time - last <= policy.memory { continue }
      if record.pointee.anchors.block(campaign, at: touch.time, memory: policy.memory) { continue }
      exposurePlaces.append(UInt16(truncatingIfNeeded: place))
      if only != nil {
        last = touch.time
      } else {
        let entry = lastExposures.find(campaign)
        if entry < 0 {
          _ = lastExposures.insert(campaign, touch.time)
        } else {
          lastExposures.entries[entry].value = touch.time
        }
      }
    }
  }

  // MARK: What they count

  /// Hands out, or takes back, what the exposures count that a touch has to do with: those to its campaign,
  /// and those whose baseline it is in.
  mutating func emitExposures(around touch: KeptTouch, of index: Int, sign: Int64) {
    guard let policy = policy.experiments else { return }
    let campaign = facet(touch.tuple).campaign
    let timeline = table.record(index).pointee.timeline
    let isPrior =
      (touch.isClick || touch.isConversion) && timeline.count > 0
      && timeline[timeline.count - 1].time > touch.time
    findExposures(of: index, only: isPrior ? nil : campaign)
    for found in exposurePlaces.indices {
      let place = Int(exposurePlaces[found])
      let exposure = timeline[place]
      let isConcerned =
        facet(exposure.tuple).campaign == campaign
        || (isPrior && exposure.time > touch.time
          && exposure.time - policy.lookBack <= touch.time)
      if isConcerned { emit(exposure: place, in: timeline, sign: sign) }
    }
  }

  /// Hands out, or takes back, what all of a person's exposures count.
  mutating func emitExposures(of index: Int, sign: Int64) {
    if facets == nil { return }
    findExposures(of: index)
    let timeline = table.record(index).pointee.timeline
    for found in exposurePlaces.indices {
      emit(exposure: Int(exposurePlaces[found]), in: timeline, sign: sign)
    }
  }

  /// Money of one currency.
  private struct Money {
    /// The tuple of the exposure with that currency.
    var slot: Int
    var revenue: Int64 = 0
    var prior: Int64 = 0
  }

  private mutating func emit(exposure place: Int, in timeline: PersonTimeline, sign: Int64) {
    guard let policy = policy.experiments else { return }
    let exposure = timeline[place]
    let own = facet(exposure.tuple)
    var sums = Exposures()
    var money: [Money] = []
    let first = timeline.first(at: exposure.time, before: place)
    var index = first
    while index < timeline.count && timeline[index].time - exposure.time <= policy.outcomeWindow {
      let touch = timeline[index]
      index += 1
      let other = facet(touch.tuple)
      if other.campaign != own.campaign { continue }
      if touch.isClick {
        sums.clickers = 1
      } else if touch.isConversion {
        sums.converters = 1
        if touch.revenueMicros != 0 {
          let place = self.money(of: touch, for: exposure, in: &money)
          money[place].revenue = Counts.sum(money[place].revenue, touch.revenueMicros)
        }
      } else if touch.isShown && other.variant != 0 && other.variant != own.variant {
        sums.mixed = 1
      }
    }
    var prior: Int64 = 0
    index = first
    while index > 0 && exposure.time - timeline[index - 1].time <= policy.lookBack {
      index -= 1
      let touch = timeline[index]
      guard touch.isClick || touch.isConversion else { continue }
      prior += 1
      if touch.isConversion && touch.revenueMicros != 0 {
        let place = self.money(of: touch, for: exposure, in: &money)
        money[place].prior = Counts.sum(money[place].prior, touch.revenueMicros)
      }
    }
    prior = min(prior, Baselines.priorMax)
    emit(
      Int(exposure.tuple), exposure.time,
      Exposures(
        persons: sign, clickers: sign * sums.clickers, converters: sign * sums.converters,
        mixed: sign * sums.mixed),
      Baselines(
        prior: sign * prior, priorSquared: sign * prior * prior,
        priorClicked: sign * prior * sums.clickers, priorConverted: sign * prior * sums.converters))
    for own in money {
      let cents = Exposures.cents(own.revenue)
      emit(
        own.slot, exposure.time,
        // Amounts are taken back by their negative.
        Exposures(
          revenueCentsSquared: sign * cents * cents, revenueMicros: sign * max(own.revenue, -.max)),
        Baselines(
          priorRevenueCents: sign * prior * cents, priorRevenueMicros: sign * max(own.prior, -.max))
      )
    }
  }

  /// The place of a conversion's currency among those of an exposure.
  private mutating func money(
    of conversion: KeptTouch, for exposure: KeptTouch, in money: inout [Money]
  ) -> Int {
    let slot = self.slot(of: Int(exposure.tuple), currencyOf: Int(conversion.tuple))
    if let known = money.firstIndex(where: { $0.slot == slot }) { return known }
    money.append(Money(slot: slot))
    return money.count - 1
  }

  private mutating func emit(
    _ slot: Int, _ time: Int64, _ exposures: Exposures, _ baselines: Baselines
  ) {
    add(
      ExposureSums(exposures: exposures, baselines: baselines), slot,
      start: WindowLevel.tenSeconds.start(of: time))
  }

  /// Adds a difference that is to be drained.
  mutating func add(_ sums: ExposureSums, _ slot: Int, start: Int64) {
    let key = WindowKey.key(slot, window: WindowKey.window(.tenSeconds, start))
    var entry = pendingExposures.find(key)
    if entry < 0 {
      entry = pendingExposures.insert(key, ExposureSums())
      tuples.retainPending(slot)
    }
    pendingExposures.entries[entry].value.exposures += sums.exposures
    pendingExposures.entries[entry].value.baselines += sums.baselines
  }

  // MARK: Draining

  mutating func drainExposures(into contributions: inout Contributions) {
    if pendingExposures.count == 0 { return }
    let order = orderedExposures()
    for index in order {
      let entry = pendingExposures.entries[index]
      if entry.value.exposures.isZero { continue }
      contributions.append(
        tuple: tuples.bytes(WindowKey.slot(entry.key)), start: WindowKey.start(entry.key),
        measure: .exposures, sums: entry.value.exposures.counts)
    }
    for index in order {
      let entry = pendingExposures.entries[index]
      if entry.value.baselines.isZero { continue }
      contributions.append(
        tuple: tuples.bytes(WindowKey.slot(entry.key)), start: WindowKey.start(entry.key),
        measure: .baselines, sums: entry.value.baselines.counts)
    }
    clearExposures()
  }

  /// The indices of the differences that are not nought.
  func orderedExposures() -> [Int] {
    var order: [(id: Int64, start: Int64, index: Int)] = []
    for index in 0..<pendingExposures.count {
      let entry = pendingExposures.entries[index]
      if entry.value.exposures.isZero && entry.value.baselines.isZero { continue }
      order.append((tuples.slots[WindowKey.slot(entry.key)].id, WindowKey.start(entry.key), index))
    }
    order.sort { ($0.id, $0.start) < ($1.id, $1.start) }
    return order.map(\.index)
  }

  mutating func clearExposures() {
    for index in 0..<pendingExposures.count {
      tuples.releasePending(WindowKey.slot(pendingExposures.entries[index].key))
    }
    pendingExposures.removeAll()
  }
}
