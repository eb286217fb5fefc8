// Stars as a radio group: the arrow keys move between them, and Enter or Space chooses one. Vue escapes all text.
const STAR = "M12 2.6l2.9 6.1 6.6.8-4.9 4.6 1.3 6.6-5.9-3.3-5.9 3.3 1.3-6.6L2.5 9.5l6.6-.8z";

export default {
  template: `
    <div class="stars" role="radiogroup" :aria-label="label" @pointerleave="hovered = null">
      <button v-for="(value, i) in steps" :key="value" type="button" role="radio"
        :class="{ half: value % 1 || halves, filled: value <= (hovered ?? chosen ?? 0) }"
        :aria-checked="String(value === chosen)" :aria-label="value + (value === 1 ? ' star' : ' stars')"
        :tabindex="i === reachable ? 0 : -1"
        data-act="rate" :data-value="value" @click="choose(value)" @pointerenter="hovered = value" @keydown="move($event, i)">
        <svg :viewBox="box(value)" aria-hidden="true"><path :d="star" /></svg>
      </button>
    </div>`,
  props: { steps: Array, given: Number, label: String },
  data() {
    return { chosen: this.given ?? null, hovered: null, star: STAR };
  },
  watch: { given: "reset" },
  mounted() {
    addEventListener("refused", this.reset);
  },
  unmounted() {
    removeEventListener("refused", this.reset);
  },
  computed: {
    halves() {
      return this.steps.some((value) => value % 1);
    },
    reachable() {
      return Math.max(0, this.steps.indexOf(this.chosen));
    },
  },
  methods: {
    box(value) {
      if (!this.halves) return "0 0 24 24";
      return value % 1 ? "0 0 12 24" : "12 0 12 24";
    },
    reset() {
      this.chosen = this.given ?? null;
    },
    choose(value) {
      this.chosen = value;
      this.hovered = null;
    },
    move(event, i) {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const buttons = this.$el.querySelectorAll("button");
      buttons[(i + by + buttons.length) % buttons.length].focus();
    },
  },
};
