// Placeholders for films that are being loaded, as one component: the server builds each element of a page.
export default {
  inheritAttrs: false, // there is no root element
  template: `
    <component v-for="i in n" :key="i" :is="cards ? 'div' : 'li'" :class="{ card: cards }" class="skeleton" aria-hidden="true">
      <div class="poster"></div>
      <div v-if="cards" class="card-body">
        <span v-for="width in ['70%', '45%', '90%']" :key="width" class="bar" :style="{ width }"></span>
      </div>
    </component>`,
  props: { n: Number, cards: Boolean },
};
